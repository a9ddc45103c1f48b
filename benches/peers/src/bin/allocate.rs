//! Prints the allocations of the request thread for one request on stderr: `allocate STACK CASE`. A program of
//! its own, because counting replaces the allocator, which would distort times.

use peers::{CHUNK, Case, measured_chunk, start};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, case] = &arguments[..] else {
        return Err("usage: allocate STACK CASE".into());
    };
    let (runtime, mut stack) = start(name)?;
    let case: Case = case.parse()?;
    measured_chunk(&runtime, &mut stack.router, case, CHUNK);
    (stack.flush)();
    let counted = allocation_counter::measure(|| {
        measured_chunk(&runtime, &mut stack.router, case, CHUNK);
    });
    eprintln!("{}", counted.count_total / CHUNK as u64);
    Ok(())
}
