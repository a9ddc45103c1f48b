//! Compares the stacks: `cargo run --release` measures times, instructions and allocations and
//! prints them as Markdown; `times`, `instructions` or `allocations` alone does one of them. `contention`
//! does so for two threads on one series, `lines` for threads that log at once, `scrape` for `/metrics`, `packages`
//! for what each stack pulls in, `faults` compares what becomes of spans when the collector misbehaves.
//! Nothing is asserted: a number is for a person who knows the machine.

mod child;
mod contention;
mod faults;
mod instructions;
mod lines;
mod packages;
mod pages;
mod report;
mod scrape;
mod times;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        [] => times::print()
            .and_then(|()| instructions::print())
            .and_then(|()| instructions::print_allocations()),
        ["times"] => times::print(),
        ["instructions"] => instructions::print(),
        ["allocations"] => instructions::print_allocations(),
        ["contention"] => contention::print(),
        ["lines"] => lines::print(),
        ["scrape"] => scrape::print(),
        ["packages"] => packages::print(),
        ["faults"] => faults::print(),
        ["child", stack] => child::obey(stack),
        ["once", stack, case, requests] => child::once(stack, case, requests),
        ["lines", stack, threads] => lines::write(stack, threads),
        ["fault", who, name] => faults::one(who, name),
        _ => Err(
            "usage: peers [times | instructions | allocations | contention | lines | scrape | packages | faults]"
                .into(),
        ),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}
