//! RustyVault in this process: its core over its file backend. It looks the token up and decrypts; no policy decides, and nothing is audited.

use crate::measure::Contestant;
use crate::world::{path, paths};
use rusty_vault::core::{Core, SealConfig};
use rusty_vault::logical::{Operation, Request, Response};
use rusty_vault::storage::barrier_aes_gcm::AESGCMBarrier;
use rusty_vault::storage::new_backend;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, RwLock};
use std::time::Instant;
use tokio::runtime::{Builder, Runtime};

/// A vault with secrets.
pub struct RustyVault {
    folder: PathBuf,
    core: Arc<RwLock<Core>>,
    runtime: Runtime,
    /// Its root token: others are looked up alike.
    token: String,
    secrets: u64,
}

impl RustyVault {
    /// A new vault, which has `secret/` mounted from the start.
    pub fn filled(folder: &Path, secrets: u64, bytes: usize) -> Self {
        let folder = folder.join(format!("rusty-vault-{secrets}-{bytes}"));
        let settings = HashMap::from([("path".to_owned(), json!(folder))]);
        let physical = new_backend("file", &settings).expect("a backend");
        let barrier = Arc::new(AESGCMBarrier::new(Arc::clone(&physical)));
        let core = Arc::new(RwLock::new(Core { physical, barrier, ..Core::default() }));
        let token = unsealed(&core);
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        let made = RustyVault { folder, core, runtime, token, secrets };
        (0..secrets).for_each(|number| made.put(number, bytes));
        made.sync();
        made
    }

    /// A read by a token.
    pub fn read(self) -> Contestant<'static> {
        let paths: Vec<String> = paths(self.secrets).iter().map(|path| format!("secret/{path}")).collect();
        Contestant::each("RustyVault", move |number| {
            let response = self.request(Operation::Read, &paths[number as usize % paths.len()], None);
            black_box(response.and_then(|response| response.data).expect("it is there"));
        })
    }

    /// A secret is written over.
    pub fn write(self, bytes: usize) -> Contestant<'static> {
        let mut number = 0;
        Contestant::whole("RustyVault, 1 writer, not synced", move |operations| {
            let start = Instant::now();
            for _ in 0..operations {
                self.put(number % self.secrets, bytes);
                number += 1;
            }
            let took = start.elapsed();
            self.sync();
            took
        })
    }

    fn put(&self, number: u64, bytes: usize) {
        let body = Map::from_iter([("value".to_owned(), Value::String("x".repeat(bytes)))]);
        self.request(Operation::Write, &format!("secret/{}", path(number)), Some(body));
    }

    /// Brings to the device what it has left to the system, so that the next contestant's sync does not wait for it.
    fn sync(&self) {
        assert!(Command::new("sync").arg("--file-system").arg(&self.folder).status().expect("coreutils").success());
    }

    fn request(&self, operation: Operation, path: &str, body: Option<Map<String, Value>>) -> Option<Response> {
        let client_token = self.token.clone();
        let mut request = Request { operation, path: path.to_owned(), client_token, body, ..Request::default() };
        let core = self.core.read().expect("no request panics");
        self.runtime.block_on(core.handle_request(&mut request)).expect("root may")
    }
}

/// Initialises and unseals a vault, by one key as ours have one, and gives its root token.
fn unsealed(shared: &Arc<RwLock<Core>>) -> String {
    let mut core = shared.write().expect("nobody else has it");
    core.config(Arc::clone(shared), None).expect("its modules");
    let made = core.init(&SealConfig { secret_shares: 1, secret_threshold: 1 }).expect("it is new");
    assert!(core.unseal(&made.secret_shares[0]).expect("it is its key"));
    made.root_token
}
