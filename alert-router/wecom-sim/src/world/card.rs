//! Template cards: their shape and the rules about required fields and list lengths. The lengths
//! of texts that the documentation "suggests" are advice for display and are not checked.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Refused;
use super::envelope::Channel;

/// A template card as the service understood it; unknown fields are ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Card {
    pub card_type: String,
    pub source: Source,
    pub main_title: Option<Title>,
    pub emphasis_content: Option<Title>,
    pub quote_area: Option<Quote>,
    pub sub_title_text: String,
    pub horizontal_content_list: Vec<Pair>,
    pub vertical_content_list: Vec<Title>,
    pub jump_list: Vec<Jump>,
    pub card_action: Option<Jump>,
    pub card_image: Option<Image>,
    pub image_text_area: Option<Picture>,
    pub task_id: String,
    pub button_list: Vec<Button>,
    pub action_menu: Option<Menu>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Source {
    pub desc: String,
    /// 0 grey, 1 black, 2 red, 3 green.
    pub desc_color: u8,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Title {
    pub title: String,
    pub desc: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Quote {
    pub title: String,
    pub quote_text: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Pair {
    pub keyname: String,
    pub value: String,
    /// 0 text, 1 link, 2 file, 3 member.
    #[serde(rename = "type")]
    pub kind: u8,
    pub url: String,
    pub media_id: String,
    pub userid: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Jump {
    pub title: String,
    /// 0 nothing, 1 link, 2 mini program.
    #[serde(rename = "type")]
    pub kind: u8,
    pub url: String,
    pub appid: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Image {
    pub url: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Picture {
    pub title: String,
    pub desc: String,
    pub image_url: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Button {
    pub text: String,
    pub style: u8,
    /// 0 callback with `key`, 1 link.
    #[serde(rename = "type")]
    pub kind: u8,
    pub key: String,
    pub url: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Menu {
    pub desc: String,
    pub action_list: Vec<Button>,
}

/// Reads and checks a card.
pub(super) fn parse(part: &Map<String, Value>, channel: Channel) -> Result<Card, Refused> {
    let card: Card = serde_json::from_value(Value::Object(part.clone()))
        .map_err(|error| Refused::invalid(format!("template_card: {error}")))?;
    match (card.card_type.as_str(), channel) {
        ("text_notice", _) => card.check_text_notice()?,
        ("news_notice", _) => card.check_news_notice()?,
        ("button_interaction", Channel::App) => card.check_buttons()?,
        ("vote_interaction" | "multiple_interaction", Channel::App) => {
            return Err(Refused::NotSimulated(format!(
                "card_type {}",
                card.card_type
            )));
        }
        _ => return Err(Refused::invalid("template_card.card_type")),
    }
    card.check_lists()?;
    if channel == Channel::App {
        card.check_callbacks()?;
    }
    Ok(card)
}

impl Card {
    /// Whether the service hands out a `response_code` for it, with which it can be changed.
    pub(super) fn is_interactive(&self) -> bool {
        self.card_type == "button_interaction" || self.action_menu.is_some()
    }

    /// All words on the card, a line for each part.
    pub(super) fn words(&self) -> String {
        let mut lines = vec![self.source.desc.clone()];
        for title in [&self.main_title, &self.emphasis_content]
            .into_iter()
            .flatten()
        {
            lines.extend([title.title.clone(), title.desc.clone()]);
        }
        lines.extend(
            self.quote_area
                .iter()
                .flat_map(|q| [q.title.clone(), q.quote_text.clone()]),
        );
        lines.push(self.sub_title_text.clone());
        let pairs = self.horizontal_content_list.iter();
        lines.extend(pairs.map(|pair| format!("{}: {}", pair.keyname, pair.value)));
        let rows = self.vertical_content_list.iter();
        lines.extend(rows.flat_map(|row| [row.title.clone(), row.desc.clone()]));
        lines.extend(self.jump_list.iter().map(|jump| jump.title.clone()));
        lines.extend(self.button_list.iter().map(|button| button.text.clone()));
        lines.retain(|line| !line.is_empty());
        lines.join("\n")
    }

    fn title(&self) -> &str {
        self.main_title
            .as_ref()
            .map(|title| title.title.as_str())
            .unwrap_or_default()
    }

    fn check_text_notice(&self) -> Result<(), Refused> {
        require(self.main_title.is_some(), "main_title")?;
        let titled = !self.title().is_empty() || !self.sub_title_text.is_empty();
        require(titled, "main_title.title or sub_title_text")?;
        self.check_action()
    }

    fn check_news_notice(&self) -> Result<(), Refused> {
        require(!self.title().is_empty(), "main_title.title")?;
        let pictured = self.card_image.is_some() || self.image_text_area.is_some();
        require(pictured, "card_image or image_text_area")?;
        self.check_action()
    }

    fn check_buttons(&self) -> Result<(), Refused> {
        require(!self.title().is_empty(), "main_title.title")?;
        require(
            (1..=6).contains(&self.button_list.len()),
            "button_list of 1 to 6",
        )?;
        require(!self.task_id.is_empty(), "task_id")?;
        let mut keys = BTreeSet::new();
        for button in &self.button_list {
            require(!button.text.is_empty(), "button_list.text")?;
            match button.kind {
                0 => require(!button.key.is_empty(), "button_list.key")?,
                1 => require(!button.url.is_empty(), "button_list.url")?,
                _ => return Err(Refused::invalid("template_card: button_list.type")),
            }
            require(
                button.key.len() <= 1024,
                "button_list.key of at most 1024 bytes",
            )?;
            let fresh = button.key.is_empty() || keys.insert(&button.key);
            require(fresh, "button_list.key that is unique")?;
        }
        Ok(())
    }

    fn check_action(&self) -> Result<(), Refused> {
        let action = self.card_action.as_ref();
        let action = action.ok_or_else(|| Refused::invalid("template_card: card_action"))?;
        require((1..=2).contains(&action.kind), "card_action.type of 1 or 2")?;
        action.check("card_action")
    }

    fn check_lists(&self) -> Result<(), Refused> {
        require(self.source.desc_color <= 3, "source.desc_color of 0 to 3")?;
        require(
            self.horizontal_content_list.len() <= 6,
            "horizontal_content_list of at most 6",
        )?;
        require(
            self.vertical_content_list.len() <= 4,
            "vertical_content_list of at most 4",
        )?;
        require(self.jump_list.len() <= 3, "jump_list of at most 3")?;
        for pair in &self.horizontal_content_list {
            pair.check()?;
        }
        for row in &self.vertical_content_list {
            require(!row.title.is_empty(), "vertical_content_list.title")?;
        }
        for jump in &self.jump_list {
            require(!jump.title.is_empty(), "jump_list.title")?;
            jump.check("jump_list")?;
        }
        Ok(())
    }

    fn check_callbacks(&self) -> Result<(), Refused> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_-@".contains(c);
        require(self.task_id.len() <= 128, "task_id of at most 128 bytes")?;
        require(
            self.task_id.chars().all(allowed),
            "task_id of letters, digits and _-@",
        )?;
        if let Some(menu) = &self.action_menu {
            require(
                (1..=3).contains(&menu.action_list.len()),
                "action_list of 1 to 3",
            )?;
            require(!self.task_id.is_empty(), "task_id")?;
        }
        Ok(())
    }
}

impl Pair {
    fn check(&self) -> Result<(), Refused> {
        require(!self.keyname.is_empty(), "horizontal_content_list.keyname")?;
        match self.kind {
            0 => Ok(()),
            1 => require(!self.url.is_empty(), "horizontal_content_list.url"),
            2 => require(
                !self.media_id.is_empty(),
                "horizontal_content_list.media_id",
            ),
            3 => require(!self.userid.is_empty(), "horizontal_content_list.userid"),
            _ => Err(Refused::invalid(
                "template_card: horizontal_content_list.type",
            )),
        }
    }
}

impl Jump {
    fn check(&self, place: &str) -> Result<(), Refused> {
        match self.kind {
            0 => Ok(()),
            1 => require(!self.url.is_empty(), &format!("{place}.url")),
            2 => require(!self.appid.is_empty(), &format!("{place}.appid")),
            _ => Err(Refused::invalid(format!("template_card: {place}.type"))),
        }
    }
}

fn require(holds: bool, what: &str) -> Result<(), Refused> {
    if holds {
        Ok(())
    } else {
        Err(Refused::invalid(format!("template_card: {what}")))
    }
}
