//! Texts that come again with most requests: the host, the route, the client's name. A thread keeps
//! those it met last, so that a span gets a reference and not a copy, which the exporter's thread
//! would free, so that this thread's allocator had to find another one for the next.

use std::cell::RefCell;
use std::sync::Arc;

use opentelemetry::StringValue;

/// The bits of a place. Texts that meet in one take turns, which costs what a copy does.
const BITS: u32 = 8;
const PLACES: usize = 1 << BITS;

/// Longer ones are copied, so that a thread keeps no more than 64 KiB.
const LONGEST: usize = 256;

thread_local! {
    static MET: RefCell<[Option<Arc<str>>; PLACES]> = const { RefCell::new([const { None }; PLACES]) };
}

/// The text as a value: the one that this thread has met before, else a copy. What is no text gets
/// replacement characters; what was met as a text need not be looked through again.
pub(crate) fn shared(text: &[u8]) -> StringValue {
    let copy = || String::from_utf8_lossy(text);
    if text.len() > LONGEST {
        return copy().into_owned().into();
    }
    let met = MET.try_with(|met| {
        let place = &mut met.borrow_mut()[hash(&[text]) >> (usize::BITS - BITS)];
        match place {
            Some(known) if known.as_bytes() == text => Arc::clone(known),
            Some(_) | None => Arc::clone(place.insert(copy().into())),
        }
    });
    // A thread that is being torn down keeps nothing.
    met.map_or_else(|_| copy().into_owned().into(), StringValue::from)
}

/// Good enough to spread texts, eight bytes at a time. Clients that choose theirs so that they meet
/// cost a copy each, or a longer look for a series, whose number is bounded.
pub(crate) fn hash(values: &[impl AsRef<[u8]>]) -> usize {
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut state = 0_u64;
    // Both halves of the product: a byte at a word's end changes the upper one only.
    let mut add = |word: u64| {
        let product = u128::from(state.rotate_left(5) ^ word) * u128::from(MIX);
        state = product as u64 ^ (product >> 64) as u64;
    };
    for value in values {
        let value = value.as_ref();
        for word in value.as_chunks::<8>().0 {
            add(u64::from_le_bytes(*word));
        }
        // The length, so that values that share bytes across their border differ.
        add(last_word(value) ^ (value.len() as u64) << 56);
    }
    state as usize
}

/// The last bytes of a text, at most eight, without a loop: those that two reads meet in count twice.
fn last_word(text: &[u8]) -> u64 {
    if let Some(word) = text.last_chunk::<8>() {
        return u64::from_le_bytes(*word);
    }
    if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        return u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last));
    }
    match *text {
        [] => 0,
        [first, .., last] => {
            u64::from(first) << 16 | u64::from(text[text.len() / 2]) << 8 | u64::from(last)
        }
        [only] => u64::from(only),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_comes_back_as_it_was() {
        let long = "x".repeat(LONGEST + 1);
        let texts = (0..3 * PLACES).map(|number| number.to_string());
        let texts: Vec<String> = texts.chain([String::new(), long]).collect();
        for text in texts.iter().chain(&texts) {
            assert_eq!(shared(text.as_bytes()).as_str(), text);
        }
    }

    #[test]
    fn short_texts_have_hashes_of_their_own() {
        let letters = || ["", "a", "b", "\0"].into_iter();
        let texts = letters().flat_map(|a| letters().map(move |b| format!("{a}{b}")));
        let texts: std::collections::BTreeSet<String> = texts.collect();
        let pairs = texts
            .iter()
            .flat_map(|a| texts.iter().map(move |b| hash(&[a, b])));
        let hashes: std::collections::BTreeSet<usize> = pairs.collect();
        assert_eq!(hashes.len(), texts.len() * texts.len());
    }

    #[test]
    fn the_texts_of_a_service_are_not_copied_again() {
        let routes = (0..20).map(|number| format!("/orders/{number}/{{id}}"));
        let texts: Vec<String> = routes.chain(["shop.example".to_owned()]).collect();
        let meet = || texts.iter().for_each(|text| drop(shared(text.as_bytes())));
        meet();
        let copied = allocation_counter::measure(meet).count_total;
        assert!(copied <= 4, "{copied} of {}", texts.len());
    }
}
