//! What changes on the start page: what runs, what is missing, and where the last alert is.

use std::fmt::Write;

use alert_router::render::{Language, Phrase};

use super::escape;
use crate::part::{self, Link, Part, State};
use crate::ports::Ports;
use crate::trail::{News, Station};

pub(super) fn render(
    parts: &[Part],
    stations: &[Station],
    trouble: &Phrase,
    own: &[Link],
    language: Language,
) -> String {
    let say = |phrase: &Phrase| escape(phrase.in_language(language));
    let mut html = String::new();
    if let Some(why) = part::no_alert(parts) {
        let below = Phrase::fixed("See below.", "见下方列表。");
        push(
            &mut html,
            format_args!("<p class=missing>{} {}", say(&why), say(&below)),
        );
    }
    push(
        &mut html,
        format_args!(
            "<p>{} <b>{}</b><h2>{}</h2><ol>",
            say(&Phrase::fixed("Broken now:", "当前故障：")),
            say(trouble),
            say(&Phrase::fixed(
                "Where the last alert is",
                "最近一条告警的位置"
            )),
        ),
    );
    for station in stations {
        render_station(&mut html, station, say);
    }
    let title = Phrase::fixed("Parts", "组成部分");
    push(
        &mut html,
        format_args!("</ol><h2>{}</h2><table>", say(&title)),
    );
    for part in parts {
        render_part(&mut html, part, say);
    }
    for Link { name, what, url } in own {
        push(
            &mut html,
            format_args!(
                "<tr><td><b>{}</b><br>{}<td>{}<td class=ready>{}",
                say(name),
                say(&Phrase::fixed("what people see", "人员看到的内容")),
                anchor(&say(what), url),
                say(&Phrase::fixed("ready", "已就绪")),
            ),
        );
    }
    html.push_str("</table>");
    html
}

fn render_station(html: &mut String, station: &Station, say: impl Fn(&Phrase) -> String) {
    let (class, text) = match &station.news {
        News::None => ("", say(&Phrase::fixed("nothing", "无"))),
        News::Firing(text) => ("lit", escape(text)),
        News::Over(text) => ("over", escape(text)),
        News::Unknown => ("", say(&Phrase::fixed("no answer", "没有响应"))),
    };
    let name = say(&station.name);
    push(
        html,
        format_args!("<li class=\"{class}\"><b>{name}</b><span>{text}</span></li>"),
    );
}

fn render_part(html: &mut String, part: &Part, say: impl Fn(&Phrase) -> String) {
    // Behind a link to what nobody has started is only an error of the browser.
    let links = match part.state {
        State::Starting | State::Ready(_) | State::Failed(_) => part.links.as_slice(),
        State::Missing(_) | State::Killed => &[],
    };
    let links = links.iter().map(|(what, url)| anchor(&say(what), url));
    push(
        html,
        format_args!(
            "<tr><td><b>{}</b><br>{}<td>{}<td class={}>{}",
            escape(part.name),
            say(&part.role),
            links.collect::<String>(),
            part.state.class(),
            say(&part.state.phrase()),
        ),
    );
}

fn anchor(text: &str, url: &str) -> String {
    format!("<a href=\"{}\">{text}</a> ", escape(url))
}

/// What the demo itself serves for people to look at.
pub(crate) fn own_pages(ports: &Ports) -> [Link; 2] {
    [
        Link {
            name: Phrase::fixed("Mailbox", "邮箱"),
            what: Phrase::fixed("mails", "邮件"),
            url: format!("http://{}/mail", ports.page),
        },
        Link {
            name: Phrase::fixed("WeCom", "企业微信"),
            what: Phrase::fixed("simulated phone", "模拟手机"),
            url: format!("http://{}/", ports.wecom),
        },
    ]
}

fn push(html: &mut String, text: std::fmt::Arguments<'_>) {
    html.write_fmt(text)
        .expect("writing into a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::Tool;

    fn page(language: Language) -> String {
        let parts = [Part {
            name: "Jaeger",
            role: Phrase::fixed("keeps traces", "保存链路"),
            links: vec![(
                Phrase::fixed("traces", "链路"),
                "http://127.0.0.1:1/".into(),
            )],
            state: State::Missing(Tool::Jaeger),
        }];
        let stations = [Station {
            name: Phrase::fixed("WeCom", "企业微信"),
            news: News::Firing("<script>alert('1')</script>".into()),
        }];
        render(&parts, &stations, &Phrase::verbatim("<b>"), &[], language)
    }

    #[test]
    fn what_others_wrote_is_text_and_what_is_missing_says_how_to_get_it() {
        for language in [Language::English, Language::Chinese] {
            let html = page(language);
            assert!(!html.contains("<script>"), "{html}");
            assert!(html.contains("&lt;script&gt;alert(&#39;1&#39;)"), "{html}");
            assert!(html.contains("--get"), "{html}");
            assert!(html.contains("demo/parts/build.sh"), "{html}");
            assert!(!html.contains("127.0.0.1:1/"), "{html}");
        }
    }

    #[test]
    fn in_chinese_only_identifiers_are_in_latin_letters() {
        let html = page(Language::Chinese);
        for english in ["Broken", "nothing", "missing;", "Parts", "keeps"] {
            assert!(!html.contains(english), "{english} in {html}");
        }
        assert!(html.contains("当前故障"), "{html}");
    }
}
