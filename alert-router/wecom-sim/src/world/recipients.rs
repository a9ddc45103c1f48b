//! Who an application's message is for: `touser`, `toparty`, `totag` resolved in the directory.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{ErrCode, Refused};
use crate::config::Directory;

/// The members a message is for, and the names that were not found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Recipients {
    pub(super) members: BTreeSet<String>,
    pub(super) invalid_users: Vec<String>,
    pub(super) invalid_parties: Vec<String>,
    pub(super) invalid_tags: Vec<String>,
    pub(super) unlicensed: Vec<String>,
}

impl Recipients {
    /// Resolves the three fields; at least one member must be left.
    pub(super) fn resolve(
        object: &Map<String, Value>,
        directory: &Directory,
    ) -> Result<Self, Refused> {
        let users = names(object, "touser")?;
        let mut found = Self::default();
        if users == ["@all"] {
            found.members.extend(directory.members.keys().cloned());
        } else {
            let parties = names(object, "toparty")?;
            let tags = names(object, "totag")?;
            check_counts(users.len(), parties.len(), tags.len())?;
            found.add_users(users, directory);
            let missing = found.add_groups(parties, &directory.parties);
            found.invalid_parties = missing;
            let missing = found.add_groups(tags, &directory.tags);
            found.invalid_tags = missing;
        }
        found.set_unlicensed_apart(directory);
        if found.members.is_empty() {
            return Err(Refused::code_only(ErrCode::NO_VALID_RECIPIENT));
        }
        Ok(found)
    }

    /// Unknown userids come back in lower case, as the service returns them.
    fn add_users(&mut self, users: Vec<&str>, directory: &Directory) {
        for user in users {
            let id = user.to_lowercase();
            if directory.members.contains_key(&id) {
                self.members.insert(id);
            } else {
                self.invalid_users.push(id);
            }
        }
    }

    fn add_groups(
        &mut self,
        ids: Vec<&str>,
        groups: &BTreeMap<String, BTreeSet<String>>,
    ) -> Vec<String> {
        let mut missing = Vec::new();
        for id in ids {
            match groups.get(id) {
                Some(members) => self.members.extend(members.iter().cloned()),
                None => missing.push(id.to_owned()),
            }
        }
        missing
    }

    fn set_unlicensed_apart(&mut self, directory: &Directory) {
        let licensed = |id: &String| directory.members.get(id).is_some_and(|m| m.licensed);
        self.unlicensed = self
            .members
            .iter()
            .filter(|id| !licensed(id))
            .cloned()
            .collect();
        self.members.retain(licensed);
    }
}

fn check_counts(users: usize, parties: usize, tags: usize) -> Result<(), Refused> {
    let code = match (users, parties, tags) {
        (0, 0, 0) => ErrCode::NO_RECIPIENT,
        (1001.., _, _) => ErrCode::TOO_MANY_USERS,
        (_, 101.., _) => ErrCode::TOO_MANY_PARTIES,
        (_, _, 101..) => ErrCode::TOO_MANY_TAGS,
        _ => return Ok(()),
    };
    Err(Refused::code_only(code))
}

/// The vendor's own samples have spaces around the bar.
fn names<'a>(object: &'a Map<String, Value>, field: &str) -> Result<Vec<&'a str>, Refused> {
    match object.get(field) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(list)) => Ok(list
            .split('|')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .collect()),
        Some(_) => Err(Refused::invalid(format!("{field} is not a string"))),
    }
}
