//! Instructions and allocations of the request thread. They hardly depend on the machine, unlike
//! time; instructions are counted by callgrind, only inside the measured loop.

use std::process::Command;

use peers::{Case, GROUPS, Group, Sink};

use crate::child::Done;
use crate::report::{self, Row};
use crate::times::command;

/// Two lengths: their difference has no warm-up in it.
const FEW: usize = 200;
const MANY: usize = 700;

pub(crate) fn print() -> Done {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("Instructions: NOT MEASURED, valgrind is not installed\n");
        return Ok(());
    }
    println!("Instructions of the request thread for a request, beyond the bare router\n");
    table(|stack, case, endpoint| {
        let few = instructions(stack, case, FEW, endpoint)?;
        let many = instructions(stack, case, MANY, endpoint)?;
        Ok((many - few) / (MANY - FEW) as f64)
    })
}

pub(crate) fn print_allocations() -> Done {
    println!("Allocations of the request thread for a request, beyond the bare router\n");
    table(|stack, case, endpoint| {
        let output = command("allocate", &[stack, case.name()], endpoint)?.output()?;
        Ok(String::from_utf8(output.stderr)?.trim().parse()?)
    })
}

fn table(count: impl Fn(&str, Case, &str) -> Result<f64, Box<dyn std::error::Error>>) -> Done {
    GROUPS
        .iter()
        .try_for_each(|group| group_table(group, &count))
}

fn group_table(
    group: &Group,
    count: impl Fn(&str, Case, &str) -> Result<f64, Box<dyn std::error::Error>>,
) -> Done {
    let sink = Sink::start()?;
    let mut counts = Vec::new();
    for (name, _) in group.stacks {
        let cases = group.cases.iter();
        let cases = cases.map(|case| count(name, *case, sink.endpoint()));
        counts.push(cases.collect::<Result<Vec<f64>, _>>()?);
    }
    let rows = group.stacks.iter().zip(&counts).skip(1);
    let rows = rows.map(|((name, _), own)| Row {
        name,
        cells: (0..group.cases.len())
            .map(|case| {
                let beyond = |of: &[f64]| of[case] - counts[0][case];
                (beyond(own), beyond(own) / beyond(&counts[1]))
            })
            .collect(),
    });
    println!("{}\n", group.title);
    report::print(group.cases, &rows.collect::<Vec<_>>());
    println!();
    Ok(())
}

fn instructions(
    stack: &str,
    case: Case,
    requests: usize,
    endpoint: &str,
) -> Result<f64, Box<dyn std::error::Error>> {
    let requests = requests.to_string();
    let inner = command("peers", &["once", stack, case.name(), &requests], endpoint)?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg("--toggle-collect=*measured_chunk*")
        .arg(inner.get_program())
        .args(inner.get_args())
        .envs(
            inner
                .get_envs()
                .filter_map(|(key, value)| Some((key, value?))),
        )
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let (_, count) = collected.ok_or_else(|| format!("callgrind counted nothing:\n{said}"))?;
    Ok(count.trim().parse()?)
}
