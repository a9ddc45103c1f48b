//! What happens within a line: emphasis, code, links, colours, mentions.

use super::Dialect;

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Inline {
    Text(String),
    Strong(Vec<Inline>),
    Emphasis(Vec<Inline>),
    Code(String),
    Link { text: Vec<Inline>, url: String },
    Image { alt: String, url: String },
    Font { color: Color, text: Vec<Inline> },
    Mention(String),
}

/// The colours that `<font color="…">` knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Color {
    Info,
    Comment,
    Warning,
}

impl Color {
    pub(crate) fn of(name: &str) -> Option<Self> {
        match name {
            "info" => Some(Self::Info),
            "comment" => Some(Self::Comment),
            "warning" => Some(Self::Warning),
            _ => None,
        }
    }
}

/// Reads one line. What does not fit the dialect stays text, as on the phone.
pub(super) fn parse(dialect: Dialect, line: &str) -> Vec<Inline> {
    collect(line, |rest| piece(dialect, rest))
}

/// Reads the only markup of an application's text: `<a href="…">…</a>`.
pub(crate) fn anchors(text: &str) -> Vec<Inline> {
    collect(text, |rest| {
        let (url, after) = rest.strip_prefix("<a href=\"")?.split_once("\">")?;
        let (text, _) = after.split_once("</a>")?;
        let length = "<a href=\"\"></a>".len() + url.len() + text.len();
        let text = vec![Inline::Text(text.into())];
        Some((
            Inline::Link {
                text,
                url: url.into(),
            },
            length,
        ))
    })
}

/// Steps through `text`: `piece` reads a construct and its length at a position, or nothing.
fn collect(text: &str, piece: impl Fn(&str) -> Option<(Inline, usize)>) -> Vec<Inline> {
    let mut found = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let Some((inline, length)) = piece(rest) else {
            plain.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        if !plain.is_empty() {
            found.push(Inline::Text(std::mem::take(&mut plain)));
        }
        found.push(inline);
        rest = &rest[length..];
    }
    if !plain.is_empty() {
        found.push(Inline::Text(plain));
    }
    found
}

/// Each construct is longer than what it holds, so the recursion ends; a line is at most 4 KiB.
fn piece(dialect: Dialect, rest: &str) -> Option<(Inline, usize)> {
    let v2 = dialect == Dialect::MarkdownV2;
    match rest.as_bytes().first()? {
        b'`' => code(rest),
        b'*' => strong(dialect, rest).or_else(|| if v2 { emphasis(dialect, rest) } else { None }),
        b'[' => link(dialect, rest),
        b'!' if v2 => image(rest),
        b'<' if !v2 => mention(rest).or_else(|| font(dialect, rest)),
        _ => None,
    }
}

fn code(rest: &str) -> Option<(Inline, usize)> {
    let (code, _) = rest.strip_prefix('`')?.split_once('`')?;
    (!code.is_empty()).then(|| (Inline::Code(code.into()), code.len() + 2))
}

fn strong(dialect: Dialect, rest: &str) -> Option<(Inline, usize)> {
    let (inner, _) = rest.strip_prefix("**")?.split_once("**")?;
    let hugs = !inner.is_empty() && inner.trim() == inner;
    hugs.then(|| (Inline::Strong(parse(dialect, inner)), inner.len() + 4))
}

fn emphasis(dialect: Dialect, rest: &str) -> Option<(Inline, usize)> {
    let (inner, _) = rest.strip_prefix('*')?.split_once('*')?;
    let hugs = !inner.is_empty() && inner.trim() == inner;
    hugs.then(|| (Inline::Emphasis(parse(dialect, inner)), inner.len() + 2))
}

fn link(dialect: Dialect, rest: &str) -> Option<(Inline, usize)> {
    let (text, after) = rest.strip_prefix('[')?.split_once(']')?;
    let (url, _) = after.strip_prefix('(')?.split_once(')')?;
    let length = text.len() + url.len() + 4;
    Some((
        Inline::Link {
            text: parse(dialect, text),
            url: url.trim().into(),
        },
        length,
    ))
}

fn image(rest: &str) -> Option<(Inline, usize)> {
    let (alt, after) = rest.strip_prefix("![")?.split_once(']')?;
    let (url, _) = after.strip_prefix('(')?.split_once(')')?;
    let length = alt.len() + url.len() + 5;
    Some((
        Inline::Image {
            alt: alt.into(),
            url: url.trim().into(),
        },
        length,
    ))
}

fn mention(rest: &str) -> Option<(Inline, usize)> {
    let (id, _) = rest.strip_prefix("<@")?.split_once('>')?;
    let plain = |c: char| c.is_alphanumeric() || "_-@.".contains(c);
    let fits = !id.is_empty() && id.len() <= 64 && id.chars().all(plain);
    fits.then(|| (Inline::Mention(id.into()), id.len() + 3))
}

/// Colours do not nest, so the first end tag belongs to this one.
fn font(dialect: Dialect, rest: &str) -> Option<(Inline, usize)> {
    let (name, after) = rest.strip_prefix("<font color=\"")?.split_once("\">")?;
    let color = Color::of(name)?;
    let (inner, _) = after.split_once("</font>")?;
    let length = "<font color=\"\"></font>".len() + name.len() + inner.len();
    Some((
        Inline::Font {
            color,
            text: parse(dialect, inner),
        },
        length,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(dialect: Dialect, line: &str, expected: &str) {
        let pieces: Vec<String> = parse(dialect, line).iter().map(show).collect();
        assert_eq!(pieces.join(" "), expected, "{line}");
    }

    fn show(inline: &Inline) -> String {
        let all = |parts: &[Inline]| parts.iter().map(show).collect::<Vec<_>>().join(" ");
        match inline {
            Inline::Text(text) => format!("{text:?}"),
            Inline::Strong(parts) => format!("strong({})", all(parts)),
            Inline::Emphasis(parts) => format!("em({})", all(parts)),
            Inline::Code(code) => format!("code({code})"),
            Inline::Link { text, url } => format!("link({} -> {url})", all(text)),
            Inline::Image { alt, url } => format!("image({alt} -> {url})"),
            Inline::Font { color, text } => format!("{color:?}({})", all(text)),
            Inline::Mention(id) => format!("@{id}"),
        }
    }

    #[test]
    fn markdown_reads_its_subset_and_leaves_the_rest_as_text() {
        let check = |line, expected| check(Dialect::Markdown, line, expected);
        check("a **b** c", r#""a " strong("b") " c""#);
        check("*a*", r#""*a*""#);
        check("** a **", r#""** a **""#);
        check("`x<@y>`", "code(x<@y>)");
        check("[面板](https://g/d)", r#"link("面板" -> https://g/d)"#);
        check("<font color=\"warning\">坏</font>!", r#"Warning("坏") "!""#);
        check(
            "<font color=\"red\">x</font>",
            r##""<font color=\"red\">x</font>""##,
        );
        check("<font color=\"info\">x", r##""<font color=\"info\">x""##);
        check("<@wang.qing>", "@wang.qing");
        check("<@a b>", r#""<@a b>""#);
        check("![i](u)", r#""!" link("i" -> u)"#);
    }

    #[test]
    fn markdown_v2_has_italics_and_images_but_no_colours_and_no_mentions() {
        let check = |line, expected| check(Dialect::MarkdownV2, line, expected);
        check("*a* **b**", r#"em("a") " " strong("b")"#);
        check("![图](https://i)", "image(图 -> https://i)");
        check("<@wangqing>", r#""<@wangqing>""#);
        check(
            "<font color=\"info\">x</font>",
            r##""<font color=\"info\">x</font>""##,
        );
    }
}
