//! Template cards as the phone draws them.

use crate::config::Directory;
use crate::markup::{Inline, escape, inline_html};
use crate::world::{Button, Card, Jump, Pair, Title};

pub(super) fn card(directory: &Directory, card: &Card) -> String {
    let mut html = String::new();
    if !card.source.desc.is_empty() {
        let color = card.source.desc_color;
        html += &format!(
            "<p class=\"source s{color}\">{}</p>",
            escape(&card.source.desc)
        );
    }
    html += &card
        .main_title
        .as_ref()
        .map(|title| titled("title", title))
        .unwrap_or_default();
    if let Some(image) = &card.card_image {
        html += &format!("<p class=picture>🖼 {}</p>", escape(&image.url));
    }
    if let Some(picture) = &card.image_text_area {
        let title = Title {
            title: picture.title.clone(),
            desc: picture.desc.clone(),
        };
        html += &format!("<p class=picture>🖼 {}</p>", escape(&picture.image_url));
        html += &titled("row", &title);
    }
    let emphasis = card.emphasis_content.as_ref();
    html += &emphasis
        .map(|title| titled("emphasis", title))
        .unwrap_or_default();
    if let Some(quote) = &card.quote_area {
        let (title, text) = (escape(&quote.title), escape(&quote.quote_text));
        html += &format!("<p class=quoted><b>{title}</b>{text}</p>");
    }
    if !card.sub_title_text.is_empty() {
        html += &format!("<p class=plain>{}</p>", escape(&card.sub_title_text));
    }
    html += &card
        .vertical_content_list
        .iter()
        .map(|row| titled("row", row))
        .collect::<String>();
    html += &pairs(directory, &card.horizontal_content_list);
    html += &card
        .jump_list
        .iter()
        .map(|jump| jump_row(directory, jump))
        .collect::<String>();
    html += &buttons(&card.button_list);
    html
}

fn titled(class: &str, title: &Title) -> String {
    let (title, desc) = (escape(&title.title), escape(&title.desc));
    format!("<p class={class}><b>{title}</b><span>{desc}</span></p>")
}

fn pairs(directory: &Directory, pairs: &[Pair]) -> String {
    if pairs.is_empty() {
        return String::new();
    }
    let row = |pair: &Pair| {
        let value = match pair.kind {
            1 => link(directory, &pair.value, &pair.url),
            3 => format!("<span class=mention>{}</span>", escape(&pair.value)),
            _ => escape(&pair.value),
        };
        format!("<dt>{}</dt><dd>{value}</dd>", escape(&pair.keyname))
    };
    format!("<dl>{}</dl>", pairs.iter().map(row).collect::<String>())
}

fn jump_row(directory: &Directory, jump: &Jump) -> String {
    format!(
        "<p class=jump>{}</p>",
        link(directory, &jump.title, &jump.url)
    )
}

fn buttons(buttons: &[Button]) -> String {
    if buttons.is_empty() {
        return String::new();
    }
    let button = |button: &Button| {
        let style = button.style.clamp(1, 4);
        format!(
            "<span class=\"button b{style}\">{}</span>",
            escape(&button.text)
        )
    };
    format!(
        "<p class=buttons>{}</p>",
        buttons.iter().map(button).collect::<String>()
    )
}

fn link(directory: &Directory, text: &str, url: &str) -> String {
    let text = vec![Inline::Text(text.into())];
    inline_html(
        &[Inline::Link {
            text,
            url: url.into(),
        }],
        directory,
    )
}
