"""What the model may call: schema, validation and dispatch of each tool."""
