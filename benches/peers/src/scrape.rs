//! What a scrape of 10,000 series costs the thread that answers it. All pages stand in this process
//! and take turns in rounds.

use crate::child::{Done, thread_time};
use crate::pages::{FORMATS, LOADS, Load, Page, pages};
use crate::report::median;

const ROUNDS: usize = 21;
const WARM_UP: usize = 3;
/// Scrapes of one page in a round.
const SCRAPES: usize = 3;

pub(crate) fn print() -> Done {
    println!(
        "A scrape without gzip: ms of CPU time, median of {ROUNDS} rounds (and what telemetry-lib \
         takes of it in the same format and round)\n"
    );
    for load in LOADS {
        table(load);
    }
    Ok(())
}

fn table(load: Load) {
    let pages = pages(load);
    let mut times = vec![[const { Vec::new() }; FORMATS.len()]; pages.len()];
    for round in 0..ROUNDS + WARM_UP {
        for (page, times) in pages.iter().zip(&mut times) {
            for (render, times) in page.formats.iter().zip(times) {
                let Some(render) = render else { continue };
                let time = milliseconds(render);
                if round >= WARM_UP {
                    times.push(time);
                }
            }
        }
    }
    println!("{}:\n", load.title);
    println!("| page | series | {} |", FORMATS.join(" | "));
    println!("| --- | --- |{}", " --- |".repeat(FORMATS.len()));
    for (page, own) in pages.iter().zip(&times) {
        let cells = own.iter().zip(&times[0]).map(|(own, ours)| cell(own, ours));
        let cells: Vec<String> = cells.collect();
        println!(
            "| {} | {} | {} |",
            page.name,
            series(page),
            cells.join(" | ")
        );
    }
    println!();
}

fn milliseconds(render: &dyn Fn() -> Box<dyn AsRef<[u8]>>) -> f64 {
    let begin = thread_time();
    for _ in 0..SCRAPES {
        std::hint::black_box(render());
    }
    (thread_time() - begin) as f64 / SCRAPES as f64 / 1e6
}

fn cell(own: &[f64], ours: &[f64]) -> String {
    if own.is_empty() {
        return "-".to_owned();
    }
    let ratios = ours.iter().zip(own).map(|(ours, own)| ours / own);
    format!(
        "{:.2} ({:.2})",
        median(own.to_vec()),
        median(ratios.collect())
    )
}

/// Lines that are no comments, in the first format that there is.
fn series(page: &Page) -> usize {
    let page = page.formats.iter().flatten().next().map(|render| render());
    let bytes = page.as_ref().map_or(&[][..], |page| (**page).as_ref());
    let text = std::str::from_utf8(bytes).expect("a page is text");
    text.lines().filter(|line| !line.starts_with('#')).count()
}
