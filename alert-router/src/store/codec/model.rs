//! The engine's types, field by field. The order of fields and the numbers of variants are stored:
//! change them only together with the version.

use alert_engine::{
    Alert, AlertKey, BodyHash, ConfigHash, Content, ContentHash, DeliveryId, End, EndReason,
    Episode, EpisodeId, Fingerprint, Flight, Folded, GroupState, Heard, Incarnation, Intake, Lane,
    LaneKey, Line, LineKind, Mute, MutedBy, Parked, Pause, Phase, RouteId, Text, Verdict, Voice,
    VoiceState,
};
use telemetry_lib::opentelemetry::trace::{SpanId, TraceId};

use super::CodecError;
use super::wire::{Reader, Stored, Writer};
use crate::trace::{Origins, Sampled};

macro_rules! stored_struct {
    ($($name:ident { $($field:ident),* })*) => {$(
        impl Stored for $name {
            fn write(&self, to: &mut Writer) {
                $(self.$field.write(to);)*
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, CodecError> {
                Ok(Self { $($field: Stored::read(from)?),* })
            }
        }
    )*};
}

macro_rules! stored_choice {
    ($($name:ident { $($number:literal = $variant:ident),* })*) => {$(
        impl Stored for $name {
            fn write(&self, to: &mut Writer) {
                let number: u8 = match self { $(Self::$variant => $number),* };
                number.write(to);
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, CodecError> {
                match u8::read(from)? {
                    $($number => Ok(Self::$variant),)*
                    _ => Err(CodecError::Impossible { what: stringify!($name) }),
                }
            }
        }
    )*};
}

macro_rules! stored_hash {
    ($($name:ident)*) => {$(
        impl Stored for $name {
            fn write(&self, to: &mut Writer) {
                to.raw(&self.0);
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, CodecError> {
                from.array().map(Self)
            }
        }
    )*};
}

macro_rules! stored_number {
    ($($name:ident)*) => {$(
        impl Stored for $name {
            fn write(&self, to: &mut Writer) {
                to.raw(&self.0.to_le_bytes());
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, CodecError> {
                from.array().map(|bytes| Self(u64::from_le_bytes(bytes)))
            }
        }
    )*};
}

stored_hash! { BodyHash ConfigHash ContentHash DeliveryId LaneKey RouteId }
stored_number! { EpisodeId Fingerprint Incarnation }

stored_struct! {
    GroupState { route, labels, config, intake, birth, first_tick, looked, alerts, episodes, lanes }
    AlertKey { source, fingerprint }
    Alert { voices, episode, text, priority, departed }
    Voice { key, state, known_end, seen, written, expires }
    Episode { alert, start, since, reopened, muted, phase }
    End { at, seen, since, why, claimed }
    Mute { by, until }
    Lane { heard, owed, folded, last, serial, opened, attempts, pause, parked, flight, memory }
    Folded { count, since }
    Pause { until, length }
    Parked { content, pause }
    Flight { id, owner, deadline, attempt, content, before }
    Content { verdict, lines, muted, expired, delayed_by, failed_over_from }
    Line { kind, episode, reopened }
}

stored_choice! {
    Intake { 0 = Webhook, 1 = Api }
    EndReason { 0 = Resolved, 1 = Expired, 2 = Stale }
    MutedBy { 0 = Silence, 1 = Inhibition, 2 = TimeInterval, 3 = Acknowledgement }
    Heard { 0 = Sure, 1 = Maybe, 2 = MaybeOver }
    LineKind { 0 = New, 1 = Reopened, 2 = Over, 3 = Missed, 4 = Firing }
    Verdict { 0 = First, 1 = NewAlerts, 2 = SomeResolved, 3 = AllResolved, 4 = Missed, 5 = Repeat }
}

impl Stored for Origins {
    fn write(&self, to: &mut Writer) {
        self.0.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, CodecError> {
        Stored::read(from).map(Self)
    }
}

impl Stored for Sampled {
    fn write(&self, to: &mut Writer) {
        to.raw(&self.trace.to_bytes());
        to.raw(&self.span.to_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            trace: from.array().map(TraceId::from_bytes)?,
            span: from.array().map(SpanId::from_bytes)?,
        })
    }
}

impl Stored for Text {
    fn write(&self, to: &mut Writer) {
        match self {
            Self::Body(hash) => 0_u8.write_then(to, hash),
            Self::Name(name) => 1_u8.write_then(to, name),
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, CodecError> {
        match u8::read(from)? {
            0 => Stored::read(from).map(Self::Body),
            1 => Stored::read(from).map(Self::Name),
            _ => Err(CodecError::Impossible { what: "text" }),
        }
    }
}

impl Stored for VoiceState {
    fn write(&self, to: &mut Writer) {
        match self {
            Self::Ended => 0_u8.write(to),
            Self::Firing { start } => 1_u8.write_then(to, start),
            Self::Doubted { start, raised } => {
                2_u8.write_then(to, start);
                raised.write(to);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, CodecError> {
        match u8::read(from)? {
            0 => Ok(Self::Ended),
            1 => Ok(Self::Firing {
                start: Stored::read(from)?,
            }),
            2 => Ok(Self::Doubted {
                start: Stored::read(from)?,
                raised: Stored::read(from)?,
            }),
            _ => Err(CodecError::Impossible { what: "voice" }),
        }
    }
}

impl Stored for Phase {
    fn write(&self, to: &mut Writer) {
        match self {
            Self::Firing => 0_u8.write(to),
            Self::Doubted(end) => 1_u8.write_then(to, end),
            Self::Ended(end) => 2_u8.write_then(to, end),
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, CodecError> {
        match u8::read(from)? {
            0 => Ok(Self::Firing),
            1 => Stored::read(from).map(Self::Doubted),
            2 => Stored::read(from).map(Self::Ended),
            _ => Err(CodecError::Impossible { what: "phase" }),
        }
    }
}

/// A variant's number and what it carries.
trait Numbered: Stored {
    fn write_then(&self, to: &mut Writer, carried: &impl Stored) {
        self.write(to);
        carried.write(to);
    }
}

impl Numbered for u8 {}
