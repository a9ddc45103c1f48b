//! Flags in, exit codes out: 0 done, 1 failed, 2 wrong use.

mod cli;

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = cli::Arguments::read();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("cannot start worker threads: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(cli::run(arguments));
    // Whatever is still under way then was given up.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// The last words, also when logs go nowhere or are read by machines.
fn say(why: &str) {
    // Without stderr there is nobody to tell.
    let _nobody = writeln!(std::io::stderr(), "alert-router: {why}");
}
