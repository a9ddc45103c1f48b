//! Packs a message into as few parts as hold it, and says what it left out. A part costs one of the
//! few messages that a room takes in a minute, so brevity comes before a second part, and detail
//! fills whatever room is left.

use super::content::{Markup, Room};
use super::shrink::cut;

/// A message in pieces, each already within its share of a part (see [`Draft::bounded`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Draft {
    /// One line, on top of every part.
    pub(crate) title: String,
    /// Below the first title.
    pub(crate) head: String,
    /// In the order in which people should read them.
    pub(crate) blocks: Vec<Block>,
    /// Below the last block.
    pub(crate) foot: String,
    /// One line at the end of the last part: by whom and when.
    pub(crate) sign: String,
}

/// What is said about one alert, or about one group of a digest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    /// Under which it is counted when it is left out.
    pub(crate) name: String,
    /// How many alerts it speaks of.
    pub(crate) alerts: usize,
    /// In one line.
    pub(crate) brief: String,
    /// With everything, if there is more to say.
    pub(crate) full: Option<String>,
}

/// ` (2/3)` at the end of a title.
const MARKER: usize = 6;
/// What the line about left out blocks may take.
pub(crate) const NOTE: usize = 320;
/// Less room than this more than the brief form is no room for the full one.
const WORTH: usize = 120;

impl Draft {
    /// Packs the blocks into at most `room.parts` texts of at most `room.bytes` bytes each.
    ///
    /// `note` writes the line about the blocks that had no room.
    pub(crate) fn pack(self, room: &Room, note: impl FnOnce(&[Block]) -> String) -> Vec<String> {
        let draft = self.bounded(room);
        let fewest = (1..=room.parts).find_map(|parts| {
            let places = draft.place(room, parts, 0);
            (places.iter().sum::<usize>() == draft.blocks.len()).then_some(places)
        });
        if let Some(places) = fewest {
            return draft.write(room, &places, "");
        }
        let places = draft.place(room, room.parts, NOTE + 1);
        let shown = places.iter().sum();
        let note = cut(&note(&draft.blocks[shown..]), NOTE, room.markup);
        draft.write(room, &places, &note)
    }

    /// Cuts every piece to its share, so that each part has room for at least one block.
    fn bounded(mut self, room: &Room) -> Self {
        let share = |text: &str, of: usize| cut(text, room.bytes / of, room.markup);
        self.title = share(&self.title, 8);
        self.head = share(&self.head, 4);
        self.foot = share(&self.foot, 5);
        self.sign = share(&self.sign, 10);
        for block in &mut self.blocks {
            block.brief = share(&block.brief, 10);
            block.full = block.full.as_deref().map(|full| share(full, 2));
        }
        self
    }

    /// How many blocks, in their brief form, go into each of `parts` parts, in order; the last part
    /// keeps `reserve` bytes free.
    fn place(&self, room: &Room, parts: usize, reserve: usize) -> Vec<usize> {
        let mut rest = self.blocks.iter().peekable();
        let spaces = (0..parts).map(|part| self.space(room, part, parts));
        spaces
            .enumerate()
            .map(|(part, space)| {
                let mut space = space - if part + 1 == parts { reserve } else { 0 };
                let mut placed = 0;
                while let Some(block) = rest.next_if(|block| block.brief.len() < space) {
                    space -= block.brief.len() + 1;
                    placed += 1;
                }
                placed
            })
            .collect()
    }

    /// The bytes that part number `part` has for blocks, each with its line break.
    fn space(&self, room: &Room, part: usize, parts: usize) -> usize {
        let marker = if parts > 1 { MARKER } else { 0 };
        let head = if part == 0 { line(&self.head) } else { 0 };
        let foot = if part + 1 == parts {
            line(&self.foot) + line(&self.sign)
        } else {
            0
        };
        // A break before each block is counted with the block; the title has none.
        room.bytes - self.title.len() - marker - head - foot
    }

    fn write(&self, room: &Room, places: &[usize], note: &str) -> Vec<String> {
        let parts = places.len();
        let mut blocks = self.blocks.as_slice();
        let mut texts = Vec::new();
        for (part, placed) in places.iter().enumerate() {
            let (mine, others) = blocks.split_at(*placed);
            blocks = others;
            let is_last = part + 1 == parts;
            let note = if is_last { note } else { "" };
            let space = self.space(room, part, parts) - line(note);
            let marker = if parts > 1 {
                format!(" ({}/{parts})", part + 1)
            } else {
                String::new()
            };
            let mut lines = vec![self.title.clone() + &marker];
            lines.extend((part == 0).then(|| self.head.clone()));
            lines.extend(detailed(mine, space, room.markup));
            lines.push(note.to_owned());
            lines.extend(
                is_last
                    .then(|| [&self.foot, &self.sign].map(String::clone))
                    .into_iter()
                    .flatten(),
            );
            lines.retain(|line| !line.is_empty());
            texts.push(lines.join("\n"));
        }
        texts
    }
}

/// The blocks within `space` bytes: brief, and the first ones in full as far as that fits.
fn detailed(blocks: &[Block], space: usize, markup: Markup) -> Vec<String> {
    let brief: usize = blocks.iter().map(|block| block.brief.len() + 1).sum();
    let mut left = space - brief;
    let detail = |block: &Block| {
        let room = block.brief.len() + left;
        let full = block.full.as_deref()?;
        let full = (full.len() <= room || left >= WORTH).then(|| cut(full, room, markup))?;
        let more = full.len().checked_sub(block.brief.len())?;
        left -= more;
        Some(full)
    };
    let briefs = blocks.iter().map(|block| block.brief.clone());
    let details: Vec<Option<String>> = blocks.iter().map(detail).collect();
    briefs
        .zip(details)
        .map(|(brief, full)| full.unwrap_or(brief))
        .collect()
}

/// Its bytes with its line break; nothing if it is empty.
fn line(text: &str) -> usize {
    if text.is_empty() { 0 } else { text.len() + 1 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block(n: usize, brief: &str, full: &str) -> Block {
        Block {
            name: "DiskFull".to_owned(),
            alerts: 1,
            brief: format!("#{n} {brief}"),
            full: Some(format!("#{n} {full}")),
        }
    }

    fn draft(blocks: Vec<Block>) -> Draft {
        Draft {
            title: "标题".to_owned(),
            head: "head".to_owned(),
            blocks,
            foot: "foot".to_owned(),
            sign: String::new(),
        }
    }

    fn pack(draft: Draft, bytes: usize, parts: usize) -> Vec<String> {
        let markup = Markup::Coloured;
        let room = Room {
            markup,
            bytes,
            parts,
        };
        draft.pack(&room, |left| format!("{} left out", left.len()))
    }

    #[test]
    fn one_part_has_no_marker_and_all_detail() {
        let texts = pack(draft(vec![block(1, "brief", "with detail")]), 4096, 3);
        assert_eq!(texts, ["标题\nhead\n#1 with detail\nfoot"]);
    }

    #[test]
    fn brevity_comes_before_a_second_part_and_the_first_blocks_keep_detail() {
        let detail = "d".repeat(900);
        let blocks = (1..=10).map(|n| block(n, "brief", &detail)).collect();
        let texts = pack(draft(blocks), 4096, 3);
        assert_eq!(texts.len(), 1);
        assert_eq!(texts[0].matches(&detail).count(), 4);
        assert_eq!(texts[0].matches("brief").count(), 5, "one more is cut");
    }

    #[test]
    fn parts_are_marked_and_blocks_stay_whole() {
        let line = "x".repeat(140);
        let blocks = (1..=25).map(|n| block(n, &line, &line)).collect();
        let texts = pack(draft(blocks), 1600, 3);
        assert_eq!(texts.len(), 3);
        assert!(texts[0].starts_with("标题 (1/3)\nhead\n#1 "));
        assert!(texts[2].starts_with("标题 (3/3)\n#"));
        assert!(texts[2].ends_with("\nfoot"));
        assert_eq!(
            texts
                .iter()
                .map(|text| text.matches(&line).count())
                .sum::<usize>(),
            25
        );
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let line = "x".repeat(100);
        let blocks = (1..=100).map(|n| block(n, &line, &line)).collect();
        let texts = pack(draft(blocks), 1024, 3);
        let shown: usize = texts.iter().map(|text| text.matches('#').count()).sum();
        assert!(
            texts[2].contains(&format!("{} left out", 100 - shown)),
            "{}",
            texts[2]
        );
    }

    /// F-35
    #[test]
    fn a_part_is_full_to_the_byte_and_never_over_it() {
        for pad in 0..4 {
            let block = |bytes: usize| {
                let chinese = (bytes - pad) / 3;
                let rest = "y".repeat(bytes - pad - 3 * chinese);
                format!("{}{}{rest}", "x".repeat(pad), "磁".repeat(chinese))
            };
            for total in 4090..=4100 {
                // Three blocks, each within its share of a half, and three line breaks.
                let sizes = [1400, 1400, total - 3 - "标题".len() - 2800];
                let full = |bytes| Block {
                    brief: "b".to_owned(),
                    full: Some(block(bytes)),
                    ..Block::default()
                };
                let draft = Draft {
                    title: "标题".to_owned(),
                    blocks: sizes.map(full).to_vec(),
                    ..Draft::default()
                };
                let texts = pack(draft, 4096, 3);
                assert_eq!(texts.len(), 1);
                let (length, cut) = (texts[0].len(), texts[0].ends_with('…'));
                assert_eq!(cut, total > 4096, "{total} {pad}");
                assert!(if cut {
                    (4094..=4096).contains(&length)
                } else {
                    length == total
                });
                assert!(!texts[0].contains('\u{fffd}'));
            }
        }
    }

    #[test]
    fn an_empty_draft_is_its_title() {
        assert_eq!(pack(Draft::default(), 2048, 3), [""]);
    }

    fn pieces() -> impl Strategy<Value = Draft> {
        let text = || "[磁a😀 \n]{0,400}";
        let block = (text(), proptest::option::of(text())).prop_map(|(brief, full)| Block {
            name: String::new(),
            alerts: 1,
            brief: format!("@{brief}"),
            full: full.map(|full| format!("@{full}")),
        });
        let blocks = proptest::collection::vec(block, 0..60);
        (text(), text(), blocks, text()).prop_map(|(title, head, blocks, foot)| Draft {
            title,
            head,
            blocks,
            sign: foot.clone(),
            foot,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn parts_fit_and_every_block_is_shown_or_counted(
            draft in pieces(), bytes in 1500_usize..4200, parts in 1_usize..4,
        ) {
            let all = draft.blocks.len();
            let mut left_out = 0;
            let room = Room { markup: Markup::None, bytes, parts };
            let texts = draft.pack(&room, |left| { left_out = left.len(); "n".repeat(400) });
            prop_assert!((1..=parts).contains(&texts.len()));
            prop_assert!(texts.iter().all(|text| text.len() <= bytes));
            let shown: usize = texts.iter().map(|text| text.matches('@').count()).sum();
            prop_assert_eq!(shown + left_out, all);
        }
    }
}
