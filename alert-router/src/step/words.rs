//! The engine's answers as metric labels: closed sets.

use alert_engine::{Became, Verdict, WaitsFor};

/// What became of a delivery.
pub(crate) fn became(became: Became) -> &'static str {
    match became {
        Became::Heard => "heard",
        Became::PartlyHeard => "partly_heard",
        Became::Retried { .. } => "retried",
        Became::GivenUp { .. } => "given_up",
        Became::HeldBack { .. } => "held_back",
        Became::Blocked => "blocked",
        Became::Late => "late",
    }
}

/// All reasons to speak.
pub(crate) const VERDICTS: [Verdict; 6] = [
    Verdict::First,
    Verdict::NewAlerts,
    Verdict::SomeResolved,
    Verdict::AllResolved,
    Verdict::Missed,
    Verdict::Repeat,
];

/// Why a lane spoke.
pub(crate) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::First => "first",
        Verdict::NewAlerts => "new_alerts",
        Verdict::SomeResolved => "some_resolved",
        Verdict::AllResolved => "all_resolved",
        Verdict::Missed => "missed",
        Verdict::Repeat => "repeat",
    }
}

/// What a lane waits for.
pub(crate) fn waits_for(what: WaitsFor) -> &'static str {
    match what {
        WaitsFor::Answer => "answer",
        WaitsFor::Retry => "retry",
        WaitsFor::Slot => "slot",
        WaitsFor::CoolDown => "cool_down",
        WaitsFor::Look => "look",
    }
}
