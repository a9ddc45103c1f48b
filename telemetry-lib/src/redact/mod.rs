//! What holds secrets, told by names: fields in log lines, in events and attributes of spans; and
//! texts that hold a URL, a query or anything else with names and values.

mod credentials;
mod names;
mod user_info;

use std::borrow::Cow;

use self::credentials::begins_with_credentials;
use self::names::Names;
use self::user_info::has_user_info;
pub(crate) use self::user_info::{HIDDEN_USER, without_user_info};
use crate::config::percent_bytes;

/// What takes the place of a value that must not be seen.
pub(crate) const REDACTED: &str = "REDACTED";

/// A text is percent-decoded so often when it is searched. What is still encoded then counts as a
/// secret: nobody but who hides something writes so.
const DECODINGS: usize = 3;

/// What is a secret: one list for fields, headers and queries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Redaction(Names);

/// How much of a text there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    Whole,
    /// It went on: a host at its end may be the beginning of user-info.
    Cut,
}

impl Redaction {
    #[cfg(test)]
    pub(crate) fn names(&self) -> &[String] {
        self.0.all()
    }

    /// Adds names; neither their case counts nor how their words are joined.
    pub(crate) fn add(&mut self, names: impl IntoIterator<Item = String>) {
        self.0.add(names);
    }

    /// Whether the whole words of a secret's name stand in `field`, as in `db.password`,
    /// `accessToken` and `Set-Cookie`; `tokens` and `secretary` are other words.
    pub(crate) fn hides(&self, field: impl AsRef<[u8]>) -> bool {
        self.0.are_in(field.as_ref())
    }

    /// As [`hides`](Self::hides), of a name that may be percent-encoded.
    pub(crate) fn hides_encoded(&self, field: &str) -> bool {
        any_decoding(field, |field| self.hides(field))
    }

    /// Whether a secret stands in a text: a secret's name before `=` or `:`, credentials with their scheme
    /// at its beginning or there, or the user-info of a URL, also percent-encoded. Takes a time in proportion to the text's length.
    pub(crate) fn is_in(&self, text: &str, extent: Extent) -> bool {
        any_decoding(text, |text| {
            self.has_pair(text) || has_user_info(text, extent)
        })
    }

    /// Whether an attribute must not be seen: its name says so, or a secret stands in its value.
    pub(crate) fn hides_pair(&self, name: &str, value: &str) -> bool {
        self.hides(name) || self.is_in(value, Extent::Whole)
    }

    fn has_pair(&self, text: &[u8]) -> bool {
        let mut begin = 0;
        begins_with_credentials(text)
            || text.iter().enumerate().any(|(at, byte)| {
                let name = &text[begin..at];
                let ends_name = matches!(byte, b'=' | b':');
                if ends_name || matches!(byte, b'&' | b';' | b'?' | b'#' | b'/' | b',') {
                    begin = at + 1;
                }
                ends_name && (self.hides(name) || begins_with_credentials(&text[at + 1..]))
            })
    }
}

/// A text's beginning, at most so many bytes, and whether that is all of it.
pub(crate) fn cut(text: &str, longest: usize) -> (&str, Extent) {
    match text.len() <= longest {
        true => (text, Extent::Whole),
        false => (&text[..text.floor_char_boundary(longest)], Extent::Cut),
    }
}

/// Whether it is so of the text as it stands, or of what it is once decoded, and again.
fn any_decoding(text: &str, is_so: impl Fn(&[u8]) -> bool) -> bool {
    let mut text = Cow::Borrowed(text.as_bytes());
    for _ in 0..=DECODINGS {
        if is_so(&text) {
            return true;
        }
        let decoded = percent_bytes(&text);
        if decoded.len() == text.len() {
            return false;
        }
        text = Cow::Owned(decoded.into_owned());
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_names(redaction: &Redaction, names: &str, expected: bool) {
        for name in names.split_whitespace() {
            assert_eq!(redaction.hides(name), expected, "{name}");
        }
    }

    #[test]
    fn secrets_are_told_by_whole_words_of_a_name() {
        let redaction = Redaction::default();
        let hidden = "password db.password PASSWORD user_password_hash Set-Cookie api-key x.api_key \
                      accessToken secretKey userPasswordHash apiKey password1 oauth2Token DBPassword \
                      http.request.header.authorization CSRFToken AWSSecretKey JSESSIONID";
        check_names(&redaction, hidden, true);
        let shown = "user tokens Tokens secretary SECRETARY api key cookies http.route";
        check_names(&redaction, shown, false);
        assert!(!redaction.hides(""));
    }

    #[test]
    fn words_of_one_name_may_stand_apart_or_not() {
        let redaction = Redaction::default();
        let hidden = "private_key private-key privateKey PrivateKey privatekey PRIVATEKEY PRIVATE_KEY \
                      x-privatekey userPrivateKey tls.privatekey.pem api_key apikey APIKey accessKey \
                      accesskey x-access-key AccessKeyId AWSAccessKeyId awsaccesskeyid OSSAccessKeyId";
        check_names(&redaction, hidden, true);
        let shown =
            "privatekeys privatekeyring myprivatekey private key_private privacykey rapikey";
        check_names(&redaction, shown, false);
    }

    #[test]
    fn names_that_carry_credentials_are_known() {
        let redaction = Redaction::default();
        let hidden = "auth x-auth auth.type bearer session session_id sessionId sessionid sid connect.sid \
                      PHPSESSID jsessionid csrf csrftoken csrfmiddlewaretoken xsrf X-XSRF-TOKEN \
                      SAMLResponse saml_response samlresponse assertion client_assertion otp pass userPass \
                      passcode passphrase signing_key signingKey signingkey encryptionkey encryption-key \
                      masterKey masterkey authtoken auth-token idtoken id_token secretkey newpassword \
                      newPassword userpassword oldpassword sig signature X-Amz-Signature jwt pwd";
        check_names(&redaction, hidden, true);
        let shown = "author authority authors authenticated passenger passengers compass bypass passed pinned \
                     assertions assertions_count side inside residence signal signatures sigterm design \
                     obsession sessions bearers otpauth rotp code pin status_code zip_code";
        check_names(&redaction, shown, false);
    }

    #[test]
    fn names_of_ones_own_are_told_likewise() {
        let mut redaction = Redaction::default();
        let own = [
            "card_number",
            "Licence-Plate",
            "homeAddress",
            "DBName",
            "身份证",
            "",
            "-",
            "_x_",
        ];
        redaction.add(own.map(str::to_owned));
        let hidden = "card_number cardNumber cardnumber CARD-NUMBER my.cardNumber.hash licence_plate \
                      licencePlate licenceplate home_address homeaddress HomeAddress db_name dbname 身份证 \
                      用户身份证 x a.x";
        check_names(&redaction, hidden, true);
        let shown =
            "card number cardnumbers postcardnumber licence plates home address 身份 用户 ab - _ é";
        check_names(&redaction, shown, false);
    }

    #[test]
    fn a_value_that_is_credentials_is_a_secret_itself() {
        for text in [
            "Bearer abc",
            "bearer  abc.def-ghi_~+/==",
            "Basic dXNlcjpwYXNz",
            "BASIC dXNlcjpwYXM=",
            "Bearer+abc",
            "Bearer%20abc",
            "%42earer%2520abc",
            "Bearer abc ",
            "Bearer abc, Bearer def",
            "Bearer abc def",
            "h=Bearer abc",
            "/cb?h=Bearer%20abc&b=2",
            r#"{"h": "Bearer abc"}"#,
            " Bearer abc",
        ] {
            check(text, true);
        }
        for text in [
            "Bearer",
            "Bearer ",
            "Bearers abc",
            "forbearer abc",
            "Basically abc",
            "Basic realm=\"a\", charset=\"UTF-8\"",
            "the Bearer abc",
            "/Bearer abc",
        ] {
            check(text, false);
        }
    }

    #[track_caller]
    fn check(text: &str, expected: bool) {
        let found = Redaction::default().is_in(text, Extent::Whole);
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn a_secret_in_a_text_is_told_by_the_name_before_it() {
        for text in [
            "/cb?token=abc",
            "%2Fcb%3Ftoken%3Dabc",
            "%252Fcb%253FToken%253Dabc",
            "https://a.example/cb#x=1&access_token=abc",
            r#"{"user":{"password":"abc"}}"#,
            "Authorization: Basic abc",
            "a=1;user[pwd]=2",
            // Four times.
            "%25252520",
        ] {
            check(text, true);
        }
        for text in [
            "",
            "/token/x?a=1",
            "sort=token,date:asc",
            "12:30",
            "100%25 of 100%",
            "%2Fcb%3Ftokens%3Dabc",
            "token",
        ] {
            check(text, false);
        }
    }

    #[test]
    fn user_info_is_told_by_what_stands_in_a_url() {
        for text in [
            "https://u:p@a.example/",
            "//u@a.example",
            "https:///u:p@a.example",
            "https%3A%2F%2Fu%3Ap%40a.example",
            "http://a.example/ and http://u:p@b.example",
        ] {
            check(text, true);
        }
        for text in [
            "https://a.example/@u",
            "mailto:u@a.example",
            "https://a.example/?mail=u@b.example",
            "https://REDACTED:REDACTED@a.example/",
        ] {
            check(text, false);
        }
        let cut = |text| Redaction::default().is_in(text, Extent::Cut);
        assert!(cut("https://u:p") && cut("https%3A%2F%2Fu"));
        assert!(!cut("https://a.example/x") && !cut("a"));
    }
}
