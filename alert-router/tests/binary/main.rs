//! alert-router as an operator meets it: its real binary, started in a folder of its own, spoken to
//! over HTTP, signals and the command line. `tests/FAILURES.md` says which failure each test proves.

mod auth;
mod commands;
mod dedup;
mod described;
mod http;
mod intake;
mod large;
mod metrics;
mod quarantine;
mod reload;
mod router;
mod secrets;
mod sink;
mod start;
mod stop;
mod store;
mod troubles;
mod wait;
