//! A table of the cases, as Markdown.

use peers::Case;

/// A stack with a value and a ratio for each case.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) cells: Vec<(f64, f64)>,
}

pub(crate) fn print(cases: &[Case], rows: &[Row]) {
    let cases: Vec<&str> = cases.iter().map(|case| case.name()).collect();
    println!("| stack | {} |", cases.join(" | "));
    println!("| --- |{}", " --- |".repeat(cases.len()));
    for Row { name, cells } in rows {
        let cells: Vec<String> = cells
            .iter()
            .map(|(value, ratio)| format!("{value:.0} ({ratio:.2})"))
            .collect();
        println!("| {name} | {} |", cells.join(" | "));
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
