"""Parse the command line."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from analystd import __version__
from analystd.cli import conditions

Options = argparse.Namespace

_EPILOG = """\
exit status: 0 done, 1 the run or the code failed, 2 usage, 3 no daemon, 4 refused (jail or limit)

examples:
  analystd run "What was the highest close in btc_1m_bars.csv?"
  analystd exec "import pandas as pd; df = pd.read_csv('btc_1m_bars.csv')"
  analystd exec "print(df.close.mean())"        the session remembers df
  analystd view btc_1m_bars.csv --filter 'close > 17000' --sort -volume
"""

_OPERATIONS = ("head", "tail", "rows", "columns", "schema", "shape", "describe", "profile")

_BATCH_HELP = "run with low priority: interactive work of other clients goes first"

_VIEW_EPILOG = """\
operations:
  head, tail, rows    the first rows; the last rows; the rows from --offset on
  columns, schema     the names of the columns; their names and types
  shape               the number of rows and of columns
  describe, profile   statistics of each column; also distinct values, a histogram and the most frequent values

files: CSV, TSV and other delimited text and JSON Lines (also gzipped), Parquet files and folders of them, Arrow, Feather, and the
  first sheet of Excel workbooks

filters: COLUMN OP VALUE, where OP is = != < <= > >= in contains starts_with; or COLUMN missing, or COLUMN present
  Quote the filter for the shell. Numbers are compared as numbers, other values as text. Quotes around a number make it text; a
  column's name may be quoted too. `in` takes a list: A,B,C. A missing value matches only `missing`.

examples:
  analystd view bars.csv tail -n 5
  analystd view bars.csv --filter 'close > 17000' --filter 'symbol in BTC,ETH' --columns timestamp,close
  analystd view bars.csv shape --filter 'volume missing'            the number of rows without a volume
  analystd view bars.csv --sort symbol --sort -volume               by symbol, then by volume, the greatest first
  analystd view bars.csv profile --columns close --json
  analystd view export.txt --delimiter ';'
"""


_CHAT_DESCRIPTION = """\
Talk with the model. Each question continues the conversation; steps, plots and answers are shown as they come.
"""

_CHAT_EPILOG = """\
commands:
  /new                      begin a new conversation
  /runs                     list the latest runs of the workspace
  /vars                     list the variables of the session
  /view FILE [OPERATION …]  look at a table, as `analystd view` does
  /model                    show which model answers, and how fast
  /undo-last                remove the last exchange from the conversation
  /help, /quit

keys: Alt-Enter, or a backslash at the end of a line, starts another line; Up and Down go through earlier questions, Ctrl-R
searches them, Tab completes commands and file names. Ctrl-C stops the current run; pressed twice on an empty line it leaves the
chat, as Ctrl-D does.

Without a terminal, each line of stdin is a question or a command, and answers go to stdout as plain text:
  analystd chat < questions.txt > answers.txt
"""

_MODEL_EPILOG = """\
examples:
  analystd model list
  analystd model pull Qwen/Qwen2.5-7B-Instruct-GGUF:Q4_K_M
  analystd model use qwen2.5-7b                               a part of the name is enough
  analystd model use http://127.0.0.1:11434/v1 llama3.2:3b    a model on a server, here Ollama
"""


def parse_arguments(argv: Sequence[str]) -> Options:
    """Parse a command line.

    Raises:
        SystemExit: with status 2 when the arguments are invalid, with 0 after `--help` and `--version`.
    """
    parser = build_parser()
    if argv[:1] != ["view"]:
        return parser.parse_args(argv)
    options, others = parser.parse_known_args(list(_with_sort_keys_joined(argv)))
    # argparse takes an optional argument as omitted as soon as an option follows the arguments before it.
    if len(others) == 1 and others[0] in _OPERATIONS and options.operation is None:
        options.operation = others.pop()
    if others:
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    options.operation = options.operation or _OPERATIONS[0]
    return options


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; it puts the chosen one into `command`."""
    parser = argparse.ArgumentParser(
        prog="analystd",
        description="An analyst's workstation behind your editor: a local model, a persistent Python session and a jailed workspace.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"analystd {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    shared = _shared_options()
    _add_daemon_commands(commands, shared)
    _add_work_commands(commands, shared)
    _add_history_commands(commands, shared)
    _add_setup_commands(commands, shared)
    return parser


def _shared_options() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", help="print the result as one JSON object")
    _add_workspace_option(shared)
    return shared


def _add_workspace_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workspace",
        metavar="DIR",
        help="the folder that the model and its code may use (default: AGENT_WORKSPACE, else the folder `workspace` here or in the "
        "nearest folder above that has one)",
    )


def _add_daemon_commands(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], shared: argparse.ArgumentParser
) -> None:
    commands.add_parser("stdio", help="speak LSP on stdin and stdout; an editor starts this")
    serve = commands.add_parser(
        "serve", help="run the daemon in the foreground (other commands start it when they need it)"
    )
    serve.add_argument("--detach", action="store_true", help="return as soon as the daemon is ready")
    commands.add_parser("status", parents=[shared], help="show what the daemon is doing, its model, sandbox and desks")
    stop = commands.add_parser(
        "stop", parents=[shared], help="stop the daemon once its runs have ended, and show which it waits for"
    )
    stop.add_argument("--now", action="store_true", help="cancel the runs instead; kill a daemon that does not answer")
    commands.add_parser("doctor", parents=[shared], help="check this machine and the settings, and say what to fix")


def _add_work_commands(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], shared: argparse.ArgumentParser
) -> None:
    run = commands.add_parser("run", parents=[shared], help="ask the model")
    run.add_argument("prompt", metavar="PROMPT", help="the question; `-` reads it from stdin")
    _add_question_options(run)
    run.add_argument("--batch", action="store_true", help=_BATCH_HELP)
    chat = commands.add_parser(
        "chat",
        help="talk with the model: each question continues the conversation",
        description=_CHAT_DESCRIPTION,
        epilog=_CHAT_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_workspace_option(chat)
    _add_question_options(chat)
    execute = commands.add_parser("exec", parents=[shared], help="run Python in the session")
    execute.add_argument("code", metavar="CODE", help="the code; `-` reads it from stdin")
    execute.add_argument("--reset", action="store_true", help="forget all variables first")
    execute.add_argument("--session", metavar="NAME", help="the session to run it in (default: main)")
    execute.add_argument("--timeout", type=float, metavar="S", help="interrupt the code after this many seconds")
    execute.add_argument("--batch", action="store_true", help=_BATCH_HELP)
    reset = commands.add_parser(
        "reset", parents=[shared], help="forget the variables of a session, and end the processes that it started"
    )
    reset.add_argument("--session", metavar="NAME", default="main", help="the session to reset (default: main)")
    _add_view_command(commands, shared)
    files = commands.add_parser("files", parents=[shared], help="list a folder of the workspace")
    files.add_argument("path", metavar="PATH", nargs="?", help="the folder (default: the workspace)")
    files.add_argument("--recursive", action="store_true", help="list the folders in it too")


def _add_question_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--conversation", metavar="ID", help="continue an earlier conversation")
    parser.add_argument("--session", metavar="NAME", help="the Python session to work in (default: main)")
    parser.add_argument("--max-steps", type=int, metavar="N", help="maximum number of tool calls for a question")
    parser.add_argument("--max-seconds", type=float, metavar="S", help="maximum number of seconds for a question")


def _add_view_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], shared: argparse.ArgumentParser
) -> None:
    view = commands.add_parser(
        "view",
        parents=[shared],
        help="look at a table: its rows, filtered and sorted, or statistics of its columns",
        epilog=_VIEW_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    view.add_argument(
        "path",
        metavar="PATH",
        help="a file or a folder of Parquet files, relative to the current folder or to the workspace",
    )
    view.add_argument(
        "operation",
        metavar="OPERATION",
        nargs="?",
        choices=_OPERATIONS,
        help=", ".join(_OPERATIONS) + " (default: head)",
    )
    view.add_argument("-n", type=int, metavar="N", help="rows to show (default: 10); for `profile`, columns")
    view.add_argument("--offset", type=int, metavar="K", help="for `rows` (`profile`): the first row (column), from 0")
    view.add_argument(
        "--columns", type=conditions.names, action="extend", metavar="A,B", help="only these columns, in this order"
    )
    view.add_argument(
        "--filter",
        type=conditions.condition,
        action="append",
        metavar="'COLUMN OP VALUE'",
        help="only rows that match; may be repeated, and then all must match",
    )
    view.add_argument(
        "--sort",
        type=conditions.sort_key,
        action="append",
        metavar="[-]COLUMN",
        help="sort by this column, with `-` the greatest first; repeat it to order rows with equal values by further columns",
    )
    view.add_argument(
        "--delimiter",
        type=conditions.delimiter,
        metavar="C",
        help=r"the character between cells (default: detected); \t is a tab",
    )


def _with_sort_keys_joined(argv: Sequence[str]) -> Iterator[str]:
    """Join `--sort -volume` into one argument, which argparse would take for two options."""
    words = iter(argv)
    for word in words:
        following = next(words, None) if word == "--sort" else None
        yield word if following is None else f"{word}={following}"


def _add_history_commands(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], shared: argparse.ArgumentParser
) -> None:
    runs = commands.add_parser("runs", parents=[shared], help="list the latest runs")
    runs.add_argument("-n", type=int, default=20, metavar="N", help="number of runs (default: 20)")
    show = commands.add_parser("show", parents=[shared], help="show one run: question, calls, outputs, answer")
    show.add_argument("run_id", metavar="RUN", help="its id, as `analystd runs` lists it")
    show.add_argument("--follow", action="store_true", help="keep printing events until the run ends")
    show.add_argument(
        "--save", metavar="DIR", help="instead, save its plots and other displays as new files in this folder"
    )
    cancel = commands.add_parser("cancel", parents=[shared], help="cancel a run of any window or script")
    cancel.add_argument("run_id", metavar="RUN", help="its id, as `analystd runs` lists it")
    logs = commands.add_parser("logs", parents=[shared], help="print the log, or only the lines of one run")
    logs.add_argument("run_id", metavar="RUN", nargs="?", help="the id of a run")
    _add_quarantine_command(commands, shared)


def _add_quarantine_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], shared: argparse.ArgumentParser
) -> None:
    quarantine = commands.add_parser(
        "quarantine",
        help="list, restore or remove files that were moved aside because programs outside the jail would trust them",
        description="Code in a session may not create files that programs outside the jail would run or trust (.git, .vscode, "
        ".envrc …). Such files are moved aside when they appear while code runs: this command lists, restores or removes them.",
        parents=[shared],
    )
    actions = quarantine.add_subparsers(dest="action", metavar="ACTION")
    actions.add_parser("list", parents=[shared], help="list what was moved aside (the default)")
    restore = actions.add_parser("restore", parents=[shared], help="show an entry, and restore it after asking")
    restore.add_argument("id", metavar="ID", help="the entry, as `analystd quarantine` lists it")
    restore.add_argument("--yes", action="store_true", help="do not ask")
    discard = actions.add_parser("discard", parents=[shared], help="delete an entry for good")
    discard.add_argument("id", metavar="ID", help="the entry, as `analystd quarantine` lists it")


def _add_model_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], shared: argparse.ArgumentParser
) -> None:
    model = commands.add_parser(
        "model",
        help="list, fetch, choose and show models",
        epilog=_MODEL_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = model.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser(
        "list", parents=[shared], help="list the models on this machine, and whether they fit into its memory"
    )
    pull = actions.add_parser("pull", parents=[shared], help="download a model into your cache")
    pull.add_argument(
        "name",
        metavar="NAME",
        nargs="?",
        help="qwen2.5-coder-1.5b, qwen2.5-coder-0.5b or smollm2-135m, or owner/repository[:file or quantisation] on Hugging Face "
        "(default: the first where 3 GB of memory are free, else the second; 1.1 GB, 0.5 GB, 0.1 GB)",
    )
    use = actions.add_parser("use", parents=[shared], help="select a model in your settings")
    use.add_argument(
        "name", metavar="NAME", help="part of a name in the list, a GGUF file, or the URL of a server (http://…/v1)"
    )
    use.add_argument("model", metavar="MODEL", nargs="?", help="the server's model, if it has more than one")
    actions.add_parser(
        "show", parents=[shared], help="show the selected model: which setting selects it, its memory, its speed"
    )


def _add_setup_commands(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], shared: argparse.ArgumentParser
) -> None:
    _add_model_command(commands, shared)
    trust = commands.add_parser(
        "trust", parents=[shared], help="trust a project's `.env`, prompt and toolbox as they are now"
    )
    trust.add_argument("folder", metavar="DIR", help="the project's folder")
    trust.add_argument("--revoke", action="store_true", help="trust it no longer")
    commands.add_parser(
        "demo", parents=[shared], help="analyse a year of one-minute bars, and ask the model about them"
    )
    _add_uninstall_command(commands)


def _add_uninstall_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    uninstall = commands.add_parser(
        "uninstall",
        help="stop the daemon and remove what analystd keeps outside of workspaces",
        description="Stop the daemon and remove its sockets, locks and other runtime files. Workspaces are never touched.",
    )
    uninstall.add_argument(
        "--purge", action="store_true", help="remove logs, journals, models, cached prompts and settings too"
    )
    uninstall.add_argument("--yes", action="store_true", help="do not ask")
    uninstall.add_argument("--json", action="store_true", help="print the result as one JSON object")
