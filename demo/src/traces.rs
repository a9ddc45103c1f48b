//! Traces as people read them, since the Jaeger that can be built here has no pages of its own: the same
//! questions that its search takes are asked of its API, so the links in alerts lead here.

use std::collections::BTreeMap;
use std::fmt::Write;

use alert_router::render::{Language, Phrase};
use serde_json::Value;

use crate::page::{below_start, escape, head};

/// Deeper spans are drawn at this depth.
const DEEPEST: usize = 8;

/// A trace, with its spans in the order in which they are read.
#[derive(Debug, Default, PartialEq)]
struct Trace {
    id: String,
    spans: Vec<Row>,
}

/// A span in its place. Times are microseconds, since the begin of the trace.
#[derive(Debug, PartialEq)]
struct Row {
    depth: usize,
    service: String,
    name: String,
    begin: u64,
    duration: u64,
    failed: bool,
}

/// The page for an answer of Jaeger's `/api/traces`.
pub(crate) fn page(answer: &Value, language: Language) -> String {
    let traces = answer["data"].as_array().map(Vec::as_slice);
    let traces: Vec<Trace> = traces.unwrap_or_default().iter().map(read).collect();
    let title = Phrase::fixed("Traces", "链路追踪");
    let mut html = head(&title, language);
    html.push_str("<body>");
    html.push_str(&below_start(&title, language));
    if traces.is_empty() {
        let none = Phrase::fixed(
            "None was found. Spans need some seconds to get here.",
            "没有找到。span 需要几秒才能到达这里。",
        );
        push(&mut html, format_args!("<p>{}", none.in_language(language)));
    }
    for trace in &traces {
        render(&mut html, trace, language);
    }
    html.push_str("</html>");
    html
}

fn read(trace: &Value) -> Trace {
    let spans = trace["spans"].as_array().map(Vec::as_slice);
    let spans = spans.unwrap_or_default();
    let mut children: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    let is_here = |id: &str| spans.iter().any(|span| span["spanID"] == id);
    for span in spans {
        // One whose parent is not here stands at the edge.
        let parent = parent(span).filter(|id| is_here(id));
        children
            .entry(parent.unwrap_or_default())
            .or_default()
            .push(span);
    }
    for siblings in children.values_mut() {
        siblings.sort_by_key(|span| begin(span));
    }
    let first = spans.iter().map(begin).min().unwrap_or_default();
    let mut rows = Vec::new();
    let mut waiting: Vec<(usize, &Value)> = Vec::new();
    let below = |id: &str, depth| {
        children
            .get(id)
            .into_iter()
            .flatten()
            .rev()
            .map(move |span| (depth, *span))
    };
    waiting.extend(below("", 0));
    while let Some((depth, span)) = waiting.pop() {
        let process = span["processID"].as_str().unwrap_or_default();
        rows.push(Row {
            depth,
            service: text(&trace["processes"][process]["serviceName"]),
            name: text(&span["operationName"]),
            begin: begin(span) - first,
            duration: span["duration"].as_u64().unwrap_or_default(),
            failed: is_failed(span),
        });
        waiting.extend(below(
            span["spanID"].as_str().unwrap_or_default(),
            depth + 1,
        ));
    }
    Trace {
        id: text(&trace["traceID"]),
        spans: rows,
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn begin(span: &Value) -> u64 {
    span["startTime"].as_u64().unwrap_or_default()
}

fn parent(span: &Value) -> Option<&str> {
    let references = span["references"].as_array()?;
    let parent = references
        .iter()
        .find(|other| other["refType"] == "CHILD_OF")?;
    parent["spanID"].as_str()
}

fn is_failed(span: &Value) -> bool {
    let tags = span["tags"].as_array().into_iter().flatten();
    tags.into_iter()
        .any(|tag| tag["key"] == "error" && tag["value"] == true)
}

fn render(html: &mut String, trace: &Trace, language: Language) {
    let end = trace
        .spans
        .iter()
        .map(|span| span.begin + span.duration)
        .max();
    let whole = end.unwrap_or_default().max(1);
    let (count, time) = (trace.spans.len(), milliseconds(whole));
    let size = Phrase::new(
        format!("{count} spans in {time}"),
        format!("{count} 个 span，共 {time}"),
    );
    push(
        html,
        format_args!(
            "<section class=trace><h2>{}</h2><p>{} · <code>{}</code><table>",
            escape(trace.spans.first().map_or("", |span| &span.name)),
            size.in_language(language),
            escape(&trace.id),
        ),
    );
    for span in &trace.spans {
        let of_thousand = |time: u64| time * 1_000 / whole;
        push(
            html,
            format_args!(
                "<tr class=\"{}\"><td class=d{}><b>{}</b> {}<td class=bar><svg viewBox=\"0 0 1000 10\" preserveAspectRatio=none><rect x={} width={} height=10 /></svg><td>{}",
                if span.failed { "failed" } else { "" },
                span.depth.min(DEEPEST),
                escape(&span.service),
                escape(&span.name),
                of_thousand(span.begin),
                of_thousand(span.duration).max(4),
                milliseconds(span.duration),
            ),
        );
    }
    html.push_str("</table></section>");
}

fn milliseconds(time: u64) -> String {
    format!("{}.{} ms", time / 1_000, time % 1_000 / 100)
}

fn push(html: &mut String, text: std::fmt::Arguments<'_>) {
    html.write_fmt(text)
        .expect("writing into a String cannot fail");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn span(id: &str, parent: &str, begin: u64, tags: &Value) -> Value {
        let references = match parent {
            "" => json!([]),
            parent => json!([{"refType": "CHILD_OF", "spanID": parent}]),
        };
        json!({
            "spanID": id, "operationName": format!("op {id}"), "references": references,
            "startTime": begin, "duration": 1_500, "processID": "p1", "tags": tags,
        })
    }

    fn answer(spans: &[Value]) -> Value {
        let processes = json!({"p1": {"serviceName": "shop"}});
        json!({"data": [{"traceID": "abc", "processes": processes, "spans": spans}]})
    }

    #[test]
    fn spans_stand_below_their_parents_in_the_order_of_their_begin() {
        let none = json!([]);
        let spans = [
            span("c", "a", 30, &none),
            span("b", "a", 20, &json!([{"key": "error", "value": true}])),
            span("a", "", 10, &none),
            span("d", "b", 25, &none),
            span("e", "lost", 40, &none),
        ];
        let trace = read(&answer(&spans)["data"][0]);
        let order = trace
            .spans
            .iter()
            .map(|row| (row.name.as_str(), row.depth, row.begin));
        let expected = [
            ("op a", 0, 0),
            ("op b", 1, 10),
            ("op d", 2, 15),
            ("op c", 1, 20),
            ("op e", 0, 30),
        ];
        assert_eq!(order.collect::<Vec<_>>(), expected);
        assert!(trace.spans[1].failed && !trace.spans[0].failed);
    }

    #[test]
    fn what_a_span_says_cannot_become_part_of_the_page_and_rubbish_is_no_trace() {
        let mut span = span("a", "", 1, &json!([]));
        span["operationName"] = "<script>".into();
        let html = page(&answer(&[span]), Language::English);
        assert!(
            !html.contains("<script>") && html.contains("&lt;script&gt;"),
            "{html}"
        );
        assert!(page(&json!("what"), Language::English).contains("None was found"));
    }
}
