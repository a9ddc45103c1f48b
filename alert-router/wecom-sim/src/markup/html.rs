//! From markdown to HTML that is safe to show: every character that came in a message is escaped,
//! links are only made to http and https, and nothing is fetched.

use std::fmt::Write as _;

use super::Dialect;
use super::block::{self, Align, Block, Cell};
use super::inline::{Color, Inline};
use crate::config::Directory;

/// A whole message as HTML, mentions by name where the directory knows them.
pub(crate) fn to_html(dialect: Dialect, text: &str, directory: &Directory) -> String {
    let mut html = String::new();
    for block in block::parse(dialect, text) {
        html.push_str(&block_html(&block, directory));
    }
    html
}

/// Pieces of a line as HTML.
pub(crate) fn inline_html(pieces: &[Inline], directory: &Directory) -> String {
    pieces
        .iter()
        .map(|piece| piece_html(piece, directory))
        .collect()
}

/// Text that HTML shows as it is, within elements and quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ if is_hidden(c) => write!(escaped, "<i class=hidden>U+{:04X}</i>", u32::from(c))
                .expect("a string takes any write"),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// Characters that turn or hide text: shown by number, so that a page cannot be made to lie.
fn is_hidden(c: char) -> bool {
    let control = c.is_control() && c != '\n' && c != '\t' && c != '\r';
    control || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn block_html(block: &Block, directory: &Directory) -> String {
    let inline = |text: &[Inline]| inline_html(text, directory);
    match block {
        Block::Heading { level, text } => format!("<p class=h{level}>{}</p>", inline(text)),
        Block::Line(text) => format!("<p>{}</p>", inline(text)),
        Block::Quote { depth, text } => format!("<p class=quote{depth}>{}</p>", inline(text)),
        Block::Item {
            depth,
            number,
            text,
        } => {
            let mark = number
                .as_ref()
                .map_or("•".to_owned(), |number| format!("{number}."));
            let text = inline(text);
            format!("<p class=\"item d{depth}\"><b class=mark>{mark}</b><span>{text}</span></p>")
        }
        Block::Code(code) => format!("<pre>{}</pre>", escape(code)),
        Block::Rule => "<hr>".into(),
        Block::Table { align, head, rows } => table_html(align, head, rows, directory),
        Block::Blank => "<p class=blank></p>".into(),
    }
}

fn table_html(align: &[Align], head: &[Cell], rows: &[Vec<Cell>], directory: &Directory) -> String {
    let row = |cells: &[Cell], tag: &str| {
        let cell = |(index, cell): (usize, &Cell)| {
            let class = match align.get(index) {
                Some(Align::Center) => "center",
                Some(Align::Right) => "right",
                Some(Align::Left) | None => "left",
            };
            format!(
                "<{tag} class={class}>{}</{tag}>",
                inline_html(cell, directory)
            )
        };
        format!(
            "<tr>{}</tr>",
            cells.iter().enumerate().map(cell).collect::<String>()
        )
    };
    let rows: String = rows.iter().map(|cells| row(cells, "td")).collect();
    format!(
        "<div class=table><table>{}{rows}</table></div>",
        row(head, "th")
    )
}

fn piece_html(piece: &Inline, directory: &Directory) -> String {
    let inner = |text: &[Inline]| inline_html(text, directory);
    match piece {
        Inline::Text(text) => escape(text),
        Inline::Strong(text) => format!("<strong>{}</strong>", inner(text)),
        Inline::Emphasis(text) => format!("<em>{}</em>", inner(text)),
        Inline::Code(code) => format!("<code>{}</code>", escape(code)),
        Inline::Link { text, url } => link_html(&inner(text), url),
        Inline::Image { alt, url } => link_html(&format!("🖼 {}", escape(alt)), url),
        Inline::Font { color, text } => {
            let class = match color {
                Color::Info => "info",
                Color::Comment => "comment",
                Color::Warning => "warning",
            };
            format!("<span class={class}>{}</span>", inner(text))
        }
        Inline::Mention(id) => match directory.name(id) {
            Some(name) => format!("<span class=mention>@{}</span>", escape(name)),
            None => escape(&format!("<@{id}>")),
        },
    }
}

fn link_html(text: &str, url: &str) -> String {
    let lower = url.to_ascii_lowercase();
    if !lower.starts_with("https://") && !lower.starts_with("http://") {
        return format!("<span class=deadlink>{text}</span>");
    }
    format!(
        "<a href=\"{}\" target=_blank rel=\"noopener noreferrer\">{text}</a>",
        escape(url)
    )
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use proptest::prelude::*;

    use super::*;

    fn render(dialect: Dialect, text: &str) -> String {
        let directory = Directory::of([("wangqing", "王青")]);
        to_html(dialect, text, &directory).replace("</p>", "</p>\n")
    }

    #[test]
    fn markdown_shows_its_subset() {
        let text = "## 2 firing\n>级别: <font color=\"warning\">critical</font>\n\n\
                    **host-1** `disk` [面板](https://g.example/d)\n<@wangqing> <@nobody>\n- no list";
        assert_snapshot!(render(Dialect::Markdown, text), @r#"
        <p class=h2>2 firing</p>
        <p class=quote1>级别: <span class=warning>critical</span></p>
        <p class=blank></p>
        <p><strong>host-1</strong> <code>disk</code> <a href="https://g.example/d" target=_blank rel="noopener noreferrer">面板</a></p>
        <p><span class=mention>@王青</span> &lt;@nobody&gt;</p>
        <p>- no list</p>
        "#);
    }

    #[test]
    fn markdown_v2_shows_lists_tables_and_code() {
        let text = "# t\n1. one\n  - two\n| a | b |\n| :-- | --: |\n| *x* | 1 |\n---\n>>> deep\n\
                    ```sh\n<b>\n```\n![图](https://i.example/x.png)";
        assert_snapshot!(render(Dialect::MarkdownV2, text), @r#"
        <p class=h1>t</p>
        <p class="item d0"><b class=mark>1.</b><span>one</span></p>
        <p class="item d1"><b class=mark>•</b><span>two</span></p>
        <div class=table><table><tr><th class=left>a</th><th class=right>b</th></tr><tr><td class=left><em>x</em></td><td class=right>1</td></tr></table></div><hr><p class=quote3>deep</p>
        <pre>&lt;b&gt;</pre><p><a href="https://i.example/x.png" target=_blank rel="noopener noreferrer">🖼 图</a></p>
        "#);
    }

    #[test]
    fn hostile_text_is_shown_and_not_obeyed() {
        let text = "<script>alert(1)</script>\n[x](javascript:alert(1))\n\
                    [y](https://e/\"onmouseover=\"x)\n**<img src=x>**\n\u{202e}evil";
        assert_snapshot!(render(Dialect::Markdown, text), @r#"
        <p>&lt;script&gt;alert(1)&lt;/script&gt;</p>
        <p><span class=deadlink>x</span>)</p>
        <p><a href="https://e/&quot;onmouseover=&quot;x" target=_blank rel="noopener noreferrer">y</a></p>
        <p><strong>&lt;img src=x&gt;</strong></p>
        <p><i class=hidden>U+202E</i>evil</p>
        "#);
    }

    proptest! {
        #[test]
        fn no_text_opens_an_element_of_its_own(text in "[<>@a*`#|\\-!\\[\\]()\"=\n /fontscrip]{0,200}") {
            for dialect in [Dialect::Markdown, Dialect::MarkdownV2] {
                let html = render(dialect, &text);
                for tag in html.split('<').skip(1) {
                    let name: String = tag.trim_start_matches('/').chars()
                        .take_while(char::is_ascii_alphanumeric).collect();
                    let ours = ["p", "b", "span", "pre", "hr", "div", "table", "tr", "td", "th",
                        "strong", "em", "code", "a", "i"];
                    prop_assert!(ours.contains(&name.as_str()), "{name:?} in {html}");
                }
                prop_assert!(!html.contains("<script"));
            }
        }
    }
}
