//! What a line is: heading, quote, list item, table row, code.

use std::iter::Peekable;
use std::str::Lines;

use super::Dialect;
use super::inline::{self, Inline};

/// A part of a message, in the order of its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Block {
    Heading {
        level: usize,
        text: Vec<Inline>,
    },
    Line(Vec<Inline>),
    Quote {
        depth: usize,
        text: Vec<Inline>,
    },
    Item {
        depth: usize,
        number: Option<String>,
        text: Vec<Inline>,
    },
    Code(String),
    Rule,
    Table {
        align: Vec<Align>,
        head: Vec<Cell>,
        rows: Vec<Vec<Cell>>,
    },
    Blank,
}

pub(super) type Cell = Vec<Inline>;

/// How a column of a table is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Center,
    Right,
}

/// Quotes nest so deep in `markdown_v2`; in `markdown` there is one level.
const QUOTE_DEPTH: usize = 3;
/// Deeper lists are shown at this depth.
const LIST_DEPTH: usize = 5;

/// Reads a whole message.
pub(super) fn parse(dialect: Dialect, text: &str) -> Vec<Block> {
    let mut lines = text.lines().peekable();
    let mut blocks = Vec::new();
    while let Some(line) = lines.next() {
        let rich = match dialect {
            Dialect::Markdown => None,
            Dialect::MarkdownV2 => code(line, &mut lines).or_else(|| table(line, &mut lines)),
        };
        blocks.push(rich.unwrap_or_else(|| single(dialect, line)));
    }
    blocks
}

/// The level and text of a heading.
fn heading(line: &str) -> Option<(usize, &str)> {
    let text = line.trim_start_matches('#');
    let level = line.len() - text.len();
    let text = text.strip_prefix(' ')?;
    (1..=6).contains(&level).then_some((level, text))
}

/// Indentation, number and text of a list item.
pub(super) fn item(line: &str) -> Option<(usize, Option<&str>, &str)> {
    let text = line.trim_start();
    let indent = line.len() - text.len();
    if let Some(text) = ["- ", "* ", "+ "]
        .iter()
        .find_map(|mark| text.strip_prefix(mark))
    {
        return Some((indent, None, text));
    }
    let (number, text) = text.split_once(". ")?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some((indent, Some(number), text))
}

/// Whether a line is the `| --- | :-: |` below a table's head.
pub(super) fn is_delimiter(line: &str) -> bool {
    let plain = |cell: &&str| cell.bytes().all(|byte| b"-:".contains(&byte)) && cell.contains('-');
    line.trim_start().starts_with('|') && cells(line).iter().all(plain)
}

pub(super) fn is_rule(line: &str) -> bool {
    line.len() >= 3 && line.bytes().all(|byte| byte == b'-')
}

fn single(dialect: Dialect, line: &str) -> Block {
    let inline = |text: &str| inline::parse(dialect, text);
    if line.trim().is_empty() {
        return Block::Blank;
    }
    if let Some((level, text)) = heading(line) {
        return Block::Heading {
            level,
            text: inline(text),
        };
    }
    if line.starts_with('>') {
        let (depth, text) = quote(dialect, line);
        return Block::Quote {
            depth,
            text: inline(text),
        };
    }
    if dialect == Dialect::Markdown {
        return Block::Line(inline(line));
    }
    if is_rule(line.trim()) {
        return Block::Rule;
    }
    match item(line) {
        Some((indent, number, text)) => Block::Item {
            depth: (indent / 2).min(LIST_DEPTH),
            number: number.map(str::to_owned),
            text: inline(text),
        },
        None => Block::Line(inline(line)),
    }
}

fn quote(dialect: Dialect, line: &str) -> (usize, &str) {
    let most = match dialect {
        Dialect::Markdown => 1,
        Dialect::MarkdownV2 => QUOTE_DEPTH,
    };
    let mut depth = 0;
    let mut text = line;
    while depth < most
        && let Some(inner) = text.strip_prefix('>')
    {
        depth += 1;
        text = inner.strip_prefix(' ').unwrap_or(inner);
    }
    (depth, text)
}

fn code(line: &str, lines: &mut Peekable<Lines<'_>>) -> Option<Block> {
    line.starts_with("```").then(|| {
        let body: Vec<&str> = lines.take_while(|line| !line.starts_with("```")).collect();
        Block::Code(body.join("\n"))
    })
}

fn table(line: &str, lines: &mut Peekable<Lines<'_>>) -> Option<Block> {
    if !line.trim_start().starts_with('|') {
        return None;
    }
    let delimiter = lines.next_if(|next| is_delimiter(next))?;
    let align = cells(delimiter).into_iter().map(Align::of).collect();
    let read = |line: &str| -> Vec<Cell> {
        cells(line)
            .into_iter()
            .map(|cell| inline::parse(Dialect::MarkdownV2, cell))
            .collect()
    };
    let head = read(line);
    let mut rows = Vec::new();
    while let Some(row) = lines.next_if(|next| next.trim_start().starts_with('|')) {
        rows.push(read(row));
    }
    Some(Block::Table { align, head, rows })
}

fn cells(line: &str) -> Vec<&str> {
    let line = line.trim();
    let line = line.strip_prefix('|').unwrap_or(line);
    let line = line.strip_suffix('|').unwrap_or(line);
    line.split('|').map(str::trim).collect()
}

impl Align {
    fn of(cell: &str) -> Self {
        match (cell.starts_with(':'), cell.ends_with(':')) {
            (true, true) => Self::Center,
            (false, true) => Self::Right,
            (true | false, false) => Self::Left,
        }
    }
}
