//! A message as text for WeCom: pieces by template, packed into parts. Text is for people in
//! personal WeChat too; markdown has colours; markdown_v2 has none and knows no mention.

use minijinja::context;
use minijinja::value::{Serde, Value};

use super::pieces::Pieces;
use super::split::{Block, Draft};
use crate::message::Message;
use crate::render::{AlertView, GroupView, Kind, Locale, Renderer, TemplateError, View};

/// More alerts than that in full have no room in any number of parts.
const IN_FULL: usize = 64;

/// What the text may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Markup {
    /// Nothing but characters.
    None,
    /// Bold, quotes and links, read as CommonMark: a line break alone breaks no line.
    Plain,
    /// These and three colours.
    Coloured,
}

/// The room that a channel gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) markup: Markup,
    /// In one part, as UTF-8.
    pub(crate) bytes: usize,
    pub(crate) parts: usize,
}

/// A message, ready to be written in any format.
pub(crate) struct Content<'a> {
    renderer: &'a Renderer,
    view: View,
    groups: Vec<Alerts>,
}

/// The alerts of a group, taken out of its view so that a piece does not carry all of them.
type Alerts = Vec<AlertView>;

impl<'a> Content<'a> {
    pub(crate) fn of(message: &Message, locale: &Locale, renderer: &'a Renderer) -> Self {
        let mut view = View::of(message, locale);
        let groups = view.groups.iter_mut();
        let groups = groups
            .map(|group| std::mem::take(&mut group.alerts))
            .collect();
        Self {
            renderer,
            view,
            groups,
        }
    }

    /// Whether somebody should look now: something fires that was not told before.
    pub(crate) fn is_urgent(&self) -> bool {
        self.view.counts.new + self.view.counts.reopened > 0
    }

    /// The title alone, as text.
    pub(crate) fn title(&self, bytes: usize) -> String {
        let title =
            Pieces::new(self.renderer, &self.view, Markup::None).write("title", context! {});
        let title = title.unwrap_or_else(|_| self.view.receiver.clone());
        super::shrink::cut(&title, bytes, Markup::None)
    }

    /// The text in parts that fit. If a template fails, the substitute text that says so.
    pub(crate) fn fit(&self, room: &Room) -> Vec<String> {
        let pieces = Pieces::new(self.renderer, &self.view, room.markup);
        let draft = self
            .draft(&pieces)
            .unwrap_or_else(|error| self.substitute(&pieces, &error));
        draft.pack(room, |left_out| {
            let n: usize = left_out.iter().map(|block| block.alerts).sum();
            let note = pieces.write("left_out", context! { n, names => names(left_out) });
            note.unwrap_or_else(|_| format!("+ {n}"))
        })
    }

    fn draft(&self, pieces: &Pieces<'_>) -> Result<Draft, TemplateError> {
        let blocks = match self.view.kind {
            Kind::Group => self.alerts(pieces),
            Kind::Digest => self.summaries(pieces),
            Kind::Test => Ok(Vec::new()),
        };
        Ok(Draft {
            title: pieces.write("title", context! {})?.trim_end().to_owned(),
            head: pieces.write("head", context! {})?,
            blocks: blocks?,
            foot: pieces.write("foot", context! {})?,
            sign: pieces.write("sign", context! {})?,
        })
    }

    /// One block for each alert, and one for each name under which alerts are only counted.
    fn alerts(&self, pieces: &Pieces<'_>) -> Result<Vec<Block>, TemplateError> {
        let mut blocks = Vec::new();
        for (group, alerts) in self.view.groups.iter().zip(&self.groups) {
            let group = Value::from(Serde(group));
            for alert in alerts {
                let in_full = blocks.len() < IN_FULL;
                blocks.push(pieces.alert(&group, alert, in_full)?);
            }
        }
        for counted in self.view.groups.iter().flat_map(|group| &group.uncounted) {
            blocks.push(pieces.counted(counted)?);
        }
        Ok(blocks)
    }

    /// One block for each group of a digest: a line, or also a line for each alert.
    fn summaries(&self, pieces: &Pieces<'_>) -> Result<Vec<Block>, TemplateError> {
        let block = |(group, alerts): (&GroupView, &Alerts)| {
            let group_value = Value::from(Serde(group));
            let brief = pieces.write("group", context! { group => group_value.clone() })?;
            let mut full = brief.clone();
            for alert in alerts.iter().take(IN_FULL) {
                let alert = Value::from(Serde(alert));
                let context = context! { group => group_value.clone(), alert };
                full = full + "\n" + &pieces.write("brief", context)?;
            }
            Ok(Block {
                name: group.title.clone(),
                alerts: group.counts.firing + group.counts.ended,
                brief,
                full: Some(full),
            })
        };
        self.view
            .groups
            .iter()
            .zip(&self.groups)
            .map(block)
            .collect()
    }

    /// What is known without templates, a block for each line.
    fn substitute(&self, pieces: &Pieces<'_>, error: &TemplateError) -> Draft {
        let mut view = self.view.clone();
        for (group, alerts) in view.groups.iter_mut().zip(&self.groups) {
            group.alerts = alerts.clone();
        }
        let text = self.renderer.substitute(pieces.template, &view, error);
        let mut lines = text.lines().filter(|line| !line.is_empty());
        let title = lines.next().unwrap_or_default().to_owned();
        let blocks = lines.map(|line| Block {
            name: String::new(),
            alerts: 1,
            brief: pieces.lay_out(line),
            full: None,
        });
        Draft {
            title,
            blocks: blocks.collect(),
            ..Draft::default()
        }
    }
}

/// How many alerts of each name, most first.
fn names(blocks: &[Block]) -> Vec<Value> {
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    for block in blocks {
        *counts.entry(&block.name).or_default() += block.alerts;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let named = counts.into_iter().filter(|(name, _)| !name.is_empty());
    named
        .take(5)
        .map(|(name, n)| context! { name, n })
        .collect()
}
