//! Runs templates within bounds. A template that fails never costs a message: the fallback text
//! says what is known, and that the template failed.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use super::{View, escape, fallback, filters};

/// Instructions that one rendering may take: a message of 500 alerts needs about a fifth.
const FUEL: u64 = 2_000_000;

/// Bytes that one rendering may write.
const LARGEST: usize = 2 * 1024 * 1024;

/// The default templates; their names end in their escaping.
const BUILT_IN: [(&str, &str); 7] = [
    ("words.en.txt", include_str!("templates/words.en.txt")),
    ("words.zh.txt", include_str!("templates/words.zh.txt")),
    ("subject.txt", include_str!("templates/subject.txt")),
    ("email.txt", include_str!("templates/email.txt")),
    ("email.html", include_str!("templates/email.html")),
    ("wecom.md", include_str!("templates/wecom.md")),
    ("wecom.chat", include_str!("templates/wecom.chat")),
];

/// Turns views into text.
#[derive(Debug)]
pub struct Renderer {
    environment: Environment<'static>,
    failures: AtomicU64,
}

/// A text, and whether its template failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The text; the fallback text if the template failed.
    pub text: String,
    /// Why the template failed, for a log line; the renderer has counted it.
    pub failed: Option<String>,
}

/// A template that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("template {name} cannot be used: {why}")]
pub struct TemplateError {
    /// The template's name.
    pub name: String,
    /// What is wrong with it, with its line.
    pub why: String,
}

impl Renderer {
    /// A renderer of the default templates.
    #[must_use]
    pub fn built_in() -> Self {
        Self::with_templates([]).expect("the default templates compile, as a test shows")
    }

    /// A renderer of the default templates and of others, as pairs of name and source. One of the
    /// same name takes the default's place.
    pub fn with_templates(
        others: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(64);
        environment.set_syntax(syntax());
        environment.set_auto_escape_callback(escape::auto_escape);
        environment.set_formatter(escape::format);
        filters::add(&mut environment);
        let built_in = BUILT_IN.map(|(name, source)| (name.to_owned(), source.to_owned()));
        for (name, source) in built_in.into_iter().chain(others) {
            environment
                .add_template_owned(name.clone(), source)
                .map_err(|error| TemplateError {
                    name,
                    why: chain(&error),
                })?;
        }
        Ok(Self {
            environment,
            failures: AtomicU64::new(0),
        })
    }

    /// The text of `view` by the template `name`, or the fallback text.
    #[must_use]
    pub fn render(&self, name: &str, view: &View) -> Rendered {
        match self.try_render(name, view) {
            Ok(text) => Rendered { text, failed: None },
            Err(error) => Rendered {
                text: self.substitute(name, view, &error),
                failed: Some(error.to_string()),
            },
        }
    }

    /// The text that takes the place of the template `name`, which failed with `error`; counts it.
    pub(crate) fn substitute(&self, name: &str, view: &View, error: &TemplateError) -> String {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let text = fallback::text(view, error);
        match name.rsplit('.').next() {
            Some("html") => fallback::html(&text),
            Some("md") => escape::markdown(&text),
            Some("chat") => escape::chat(&text),
            Some(_) | None => text,
        }
    }

    /// The text of any context by the template `name`, for channels that compose a message from
    /// pieces. They fall back with [`Renderer::render`] of a whole.
    pub fn try_render(&self, name: &str, context: impl Serialize) -> Result<String, TemplateError> {
        let failed = |error: minijinja::Error| TemplateError {
            name: name.to_owned(),
            why: chain(&error),
        };
        let mut out = Bounded(Vec::new());
        let template = self.environment.get_template(name).map_err(failed)?;
        template
            .render_captured_to(Value::from(Serde(context)), &mut out)
            .map_err(failed)?;
        Ok(String::from_utf8(out.0).expect("templates write whole strings"))
    }

    /// How many renderings failed since the start, for a metric.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}

/// Jinja's, with block tags on lines of their own leaving no trace.
fn syntax() -> SyntaxConfig {
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true);
    syntax.build().expect("the default delimiters are valid")
}

/// Takes bytes up to a limit, then refuses, which ends the rendering.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LARGEST {
            return Err(io::Error::other(format!(
                "the text is larger than {LARGEST} bytes"
            )));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An error with its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let all = std::iter::once(error.to_string()).chain(causes.map(ToString::to_string));
    super::clean(&all.collect::<Vec<_>>().join(": "))
}
