//! What the tests of the whole repository share: its files, the programs of other projects, and
//! processes of them that run while a test looks at them.

mod files;
mod http;
pub mod parts;
mod process;
mod tool;

pub use files::{names_in, read, root, yaml};
pub use http::{get, post_json};
pub use parts::free_port;
pub use process::Part;
pub use tool::{Tool, run};
