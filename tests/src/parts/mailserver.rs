//! A private Postfix that takes mail over STARTTLS with AUTH, and a private Dovecot that checks
//! passwords for it and shows its mailboxes over IMAP. Both need root, because they give it up.

use std::fs::Permissions;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::mailbox::{self, Mail};
use super::place::free_port;
use super::process::{Process, Ready};
use super::programs::Program;

/// Who owns the mailboxes: nobody on this machine.
const OWNER: u32 = 5000;
const PASSWORD: &str = "password-of-all-mailboxes";

/// A running mail server for `mail.test`.
pub struct Mailserver {
    smtp: u16,
    imap: u16,
    certificate: PathBuf,
    // In this order: Postfix asks Dovecot.
    postfix: Process,
    _dovecot: Process,
}

impl Mailserver {
    /// Starts one with a mailbox for each of `users`, which answers 550 to those in `refused`.
    ///
    /// # Panics
    /// It is not ready in time.
    pub async fn start(folder: &Path, users: &[&str], refused: &[&str]) -> Self {
        let folder = folder.join("mail");
        for name in ["postfix", "queue", "data", "boxes", "run"] {
            std::fs::create_dir_all(folder.join(name)).expect("the folder is ours");
        }
        chown(folder.join("boxes"), Some(OWNER), Some(OWNER)).expect("root may");
        let files = Files { folder: &folder };
        let (smtp, imap) = (free_port(), free_port());
        let certificate = files.certificate();
        files.lookups(users, refused);
        let dovecot = files.dovecot(imap).await;
        let postfix = files.postfix(smtp).await;
        Self {
            smtp,
            imap,
            certificate,
            postfix,
            _dovecot: dovecot,
        }
    }

    /// How to hand in mail here, as `global` of a config.
    #[must_use]
    pub fn global(&self) -> Value {
        json!({
            "smtp_smarthost": format!("localhost:{}", self.smtp),
            "smtp_from": "告警中心 <alerts@mail.test>",
            "smtp_hello": "router.mail.test",
            "smtp_auth_username": "router",
            "smtp_auth_password": PASSWORD,
            "smtp_tls_config": { "ca_file": self.certificate },
        })
    }

    /// All mails of a user, oldest first, or why they cannot be read.
    pub async fn mails(&self, user: &str) -> Result<Vec<Mail>, String> {
        mailbox::read(self.imap, user, PASSWORD).await
    }

    /// What Postfix has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.postfix.log()
    }
}

/// The files of both servers.
struct Files<'a> {
    folder: &'a Path,
}

impl Files<'_> {
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.join(name);
        std::fs::write(&file, text).expect("the folder is ours");
        file
    }

    /// A key and a certificate for `localhost` that vouches for itself.
    fn certificate(&self) -> PathBuf {
        let key = rcgen::KeyPair::generate().expect("ring makes keys");
        let made = rcgen::CertificateParams::new(vec!["localhost".to_owned()]);
        let made = made.and_then(|params| params.self_signed(&key));
        let certificate = made.expect("a plain certificate can be made").pem();
        let chain = self.write(
            "postfix/chain.pem",
            &format!("{}{certificate}", key.serialize_pem()),
        );
        // Postfix complains about keys that others may read.
        std::fs::set_permissions(chain, Permissions::from_mode(0o600)).expect("it is ours");
        self.write("certificate.pem", &certificate)
    }

    /// The mailboxes of `users`, and the refusal of those in `refused`.
    fn lookups(&self, users: &[&str], refused: &[&str]) {
        let line = |user: &&str| format!("{user}@mail.test {user}/\n");
        self.write(
            "postfix/mailboxes",
            &users.iter().map(line).collect::<String>(),
        );
        let line = |user: &&str| format!("{user}@mail.test 550 5.1.1 no such mailbox here\n");
        self.write(
            "postfix/refused",
            &refused.iter().map(line).collect::<String>(),
        );
    }

    async fn postfix(&self, port: u16) -> Process {
        let folder = self.folder.display().to_string();
        let fill = |text: &str| {
            text.replace("PORT", &port.to_string())
                .replace("OWNER", &OWNER.to_string())
                .replace("FOLDER", &folder)
        };
        self.write("postfix/main.cf", &fill(include_str!("postfix-main.cf")));
        self.write(
            "postfix/master.cf",
            &fill(include_str!("postfix-master.cf")),
        );
        let config = self.folder.join("postfix");
        // It also makes the folders of the queue.
        let checked = Command::new(Program::Postfix.path())
            .arg("-c")
            .arg(&config)
            .arg("check")
            .output()
            .expect("postfix starts");
        let complaint = String::from_utf8_lossy(&checked.stderr);
        assert!(
            checked.status.success(),
            "postfix takes its config: {complaint}"
        );
        // Its user is the one to whom it gave its queues.
        let queue = std::fs::metadata(self.folder.join("queue/active"));
        let user = queue.expect("the check made it").uid();
        chown(self.folder.join("data"), Some(user), None).expect("root may");
        let mut command = Command::new(daemons().join("master"));
        // -s: in the foreground, with its log on stdout.
        command.arg("-c").arg(&config).arg("-s");
        let ready = Ready::Port(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        Process::start("postfix", command, self.folder, ready).await
    }

    async fn dovecot(&self, port: u16) -> Process {
        let folder = self.folder.display().to_string();
        let text = include_str!("dovecot.conf")
            .replace("PORT", &port.to_string())
            .replace("OWNER", &OWNER.to_string())
            .replace("PASSWORD", PASSWORD)
            .replace("FOLDER", &folder);
        let config = self.write("dovecot.conf", &text);
        let mut command = Command::new(Program::Dovecot.path());
        command.arg("-F").arg("-c").arg(config);
        let ready = Ready::Port(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        Process::start("dovecot", command, self.folder, ready).await
    }
}

/// Where Postfix keeps its programs.
fn daemons() -> PathBuf {
    let asked = Command::new(Program::Postfix.path().with_file_name("postconf"))
        .args(["-d", "-h", "daemon_directory"])
        .output()
        .expect("postconf comes with postfix");
    let path = String::from_utf8(asked.stdout).expect("the path is ASCII");
    PathBuf::from(path.trim())
}
