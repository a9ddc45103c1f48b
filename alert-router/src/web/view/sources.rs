//! Who posts here: a greeting for who is new, and what to change in Alertmanager's config.

use alert_engine::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::{Web, show};
use crate::config::show_duration;
use crate::plan::Plan;
use crate::render::Language;
use crate::step::sources::Known;
use crate::step::upstream;
use crate::web::refusal::Refusal;

/// A source that ever posted.
#[derive(Serialize)]
pub(in crate::web) struct SourceCard {
    pub(super) name: String,
    /// Its first post; `None` if that was before this was noted.
    pub(super) first: Option<First>,
    /// Whether that was within the last day.
    pub(super) new: bool,
    pub(super) last_heard: String,
    pub(super) last_resolved: Option<String>,
    pub(super) posts: u64,
    pub(super) silent: bool,
    /// At which interval it repeats itself, as far as its posts show.
    pub(super) repeats_every: String,
    /// How long it may say nothing.
    pub(super) silent_after: String,
    /// How its Alertmanager names itself.
    pub(super) external_url: String,
    pub(super) advice: Vec<Advice>,
}

#[derive(Serialize)]
pub(super) struct First {
    pub(super) at: String,
    pub(super) alerts: usize,
    pub(super) groups: usize,
}

/// What to change in its `alertmanager.yml`.
#[derive(Serialize)]
pub(super) struct Advice {
    pub(super) under: &'static str,
    pub(super) key: &'static str,
    pub(super) value: &'static str,
    pub(super) why: String,
}

/// All sources, by name.
pub(in crate::web) async fn sources(
    web: &Web,
    plan: &Plan,
    language: Language,
) -> Result<Vec<SourceCard>, Refusal> {
    let now = web.intake.clock.now();
    let known = web.step.sources().await?;
    let cards = known
        .into_iter()
        .map(|known| SourceCard::of(known, plan, language, now));
    Ok(cards.collect())
}

impl SourceCard {
    fn of(known: Known, plan: &Plan, language: Language, now: Timestamp) -> Self {
        let zone: &TimeZone = &plan.config().locale.zone;
        let upstream = known.upstream;
        let advice = known.advice.into_iter();
        Self {
            name: plan.config().shown(&known.name).as_str().to_owned(),
            new: upstream.is_new(now),
            first: upstream.first.map(|first| First::of(first, zone)),
            last_heard: show(known.life.last, zone),
            last_resolved: upstream.resolved().map(|at| show(at, zone)),
            posts: upstream.posts,
            silent: known.life.silent,
            repeats_every: show_duration(known.life.repeats_every),
            silent_after: show_duration(known.silent_after),
            external_url: known.external_url,
            advice: advice.map(|advice| Advice::of(advice, language)).collect(),
        }
    }

    /// Whether the page has something to say of it.
    pub(super) fn is_worth_a_card(&self) -> bool {
        self.new || !self.advice.is_empty()
    }
}

impl First {
    fn of(first: upstream::First, zone: &TimeZone) -> Self {
        Self {
            at: show(first.at(), zone),
            alerts: first.alerts,
            groups: first.groups,
        }
    }
}

impl Advice {
    fn of(advice: upstream::Advice, language: Language) -> Self {
        Self {
            under: advice.under,
            key: advice.key,
            value: advice.value,
            why: advice.why.in_language(language).to_owned(),
        }
    }
}
