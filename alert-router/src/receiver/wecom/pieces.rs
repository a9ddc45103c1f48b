//! The pieces of a message as templates write them, with line breaks that the format respects.

use minijinja::context;
use minijinja::value::{Serde, Value, merge_maps};

use super::content::Markup;
use super::split::Block;
use crate::render::{AlertView, CountedView, Renderer, TemplateError, View};

/// Writes the pieces of one message in one format.
pub(super) struct Pieces<'a> {
    renderer: &'a Renderer,
    markup: Markup,
    /// The template's name.
    pub(super) template: &'static str,
    /// What every piece sees.
    common: Value,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(renderer: &'a Renderer, view: &View, markup: Markup) -> Self {
        let template = match markup {
            Markup::None => "wecom.chat",
            Markup::Plain | Markup::Coloured => "wecom.md",
        };
        let colour = markup == Markup::Coloured;
        Self {
            renderer,
            markup,
            template,
            common: context! { colour, ..Value::from(Serde(view)) },
        }
    }

    pub(super) fn alert(
        &self,
        group: &Value,
        alert: &AlertView,
        in_full: bool,
    ) -> Result<Block, TemplateError> {
        let name = alert.name.clone();
        let alert = Value::from(Serde(alert));
        let context = context! { group => group.clone(), alert };
        let full = in_full.then(|| self.write("alert", context.clone()));
        Ok(Block {
            name,
            alerts: 1,
            brief: self.write("brief", context)?,
            full: full.transpose()?,
        })
    }

    pub(super) fn counted(&self, counted: &CountedView) -> Result<Block, TemplateError> {
        let context = context! { counted => Value::from(Serde(counted)) };
        Ok(Block {
            name: counted.name.clone(),
            alerts: counted.firing + counted.over,
            brief: self.write("counted", context)?,
            full: None,
        })
    }

    /// The piece of that name, without line breaks around it.
    pub(super) fn write(&self, piece: &str, context: Value) -> Result<String, TemplateError> {
        let context = merge_maps([self.common.clone(), context, context! { piece }]);
        let text = self.renderer.try_render(self.template, context)?;
        Ok(self.lay_out(&text))
    }

    /// The lines of `text` that say something, so that the format keeps them apart.
    pub(super) fn lay_out(&self, text: &str) -> String {
        let lines = text.lines().map(str::trim_end);
        let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
        match self.markup {
            Markup::None | Markup::Coloured => lines.join("\n"),
            Markup::Plain => lines.chunk_by(|a, b| is_quote(a) == is_quote(b)).fold(
                String::new(),
                |text, lines| {
                    let gap = if text.is_empty() { "" } else { "\n" };
                    // The end of a quote takes an empty line, that of another line two spaces.
                    let end = if is_quote(lines[0]) { "\n" } else { "  " };
                    text + gap + &lines.join("  \n") + end
                },
            ),
        }
    }
}

fn is_quote(line: &str) -> bool {
    line.starts_with('>')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::{Language, samples};

    fn check(markup: Markup, text: &str, laid_out: &str) {
        let message = samples::message(crate::message::Says::Test);
        let view = View::of(&message, &samples::locale(Language::English));
        let renderer = Renderer::built_in();
        let pieces = Pieces::new(&renderer, &view, markup);
        assert_eq!(pieces.lay_out(text), laid_out);
    }

    #[test]
    fn lines_stay_apart_in_every_format() {
        let text = "one  \n\n two\n> three\n> four\nfive\n";
        check(Markup::None, text, "one\n two\n> three\n> four\nfive");
        check(Markup::Coloured, text, "one\n two\n> three\n> four\nfive");
        check(
            Markup::Plain,
            text,
            "one  \n two  \n> three  \n> four\n\nfive  ",
        );
        check(Markup::Plain, "> quote", "> quote\n");
        check(Markup::Plain, "", "");
    }
}
