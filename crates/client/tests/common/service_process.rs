//! The service as a process of its own, whose memory can be looked at: the test program itself, started again for
//! one ignored test that serves.

#![allow(clippy::unwrap_used, unreachable_pub, missing_docs)]

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use conclave_delivery_service::{Config, Server};

/// Where the process finds its data; set for nobody else.
const FOLDER: &str = "CONCLAVE_TEST_SERVICE";

/// Bytes of memory that are read at once.
const STRETCH_BYTES: usize = 1 << 20;

pub struct ServiceProcess {
    child: Child,
    folder: PathBuf,
    address: String,
}

impl ServiceProcess {
    /// Starts a service on data in `folder`. The program needs a test with this name that calls [`serve`].
    pub fn start(folder: &Path, test: &str) -> Self {
        let folder = folder.join("service");
        fs::create_dir(&folder).unwrap();
        let log = File::create(folder.join("log.txt")).unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", test])
            .env(FOLDER, &folder)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let started = Instant::now();
        let address = loop {
            if let Ok(address) = fs::read_to_string(folder.join("address")) {
                break address;
            }
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "it did not start"
            );
            std::thread::sleep(Duration::from_millis(20));
        };
        Self {
            child,
            folder,
            address,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub fn log(&self) -> PathBuf {
        self.folder.join("log.txt")
    }

    /// All memory that the process may write to, in stretches that overlap by some bytes.
    pub fn memory(&self) -> Vec<Vec<u8>> {
        let process = PathBuf::from(format!("/proc/{}", self.child.id()));
        let mut memory = File::open(process.join("mem")).unwrap();
        let maps = fs::read_to_string(process.join("maps")).unwrap();
        let mut stretches = Vec::new();
        for (from, to) in maps.lines().filter_map(writable) {
            for at in (from..to).step_by(STRETCH_BYTES) {
                let length = (to - at).min(STRETCH_BYTES as u64 + 64);
                let mut bytes = vec![0; usize::try_from(length).unwrap()];
                memory.seek(SeekFrom::Start(at)).unwrap();
                // What was given back since the maps were read is not there to be read.
                if memory.read_exact(&mut bytes).is_ok() && bytes.iter().any(|byte| *byte != 0) {
                    stretches.push(bytes);
                }
            }
        }
        stretches
    }
}

impl Drop for ServiceProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where a mapping begins and ends, if what is in it was written by the process.
fn writable(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split_whitespace();
    let (from, to) = words.next()?.split_once('-')?;
    words.next()?.starts_with("rw").then_some(())?;
    let address = |text| u64::from_str_radix(text, 16).ok();
    Some((address(from)?, address(to)?))
}

/// Serves until the process is killed, if it was started by [`ServiceProcess`]. All that can be logged is.
pub fn serve() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let folder = Path::new(&folder);
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(4 * 1024 * 1024)
        .build()
        .unwrap();
    runtime.block_on(async {
        let server = Server::bind(Config::new(folder.join("data")))
            .await
            .unwrap();
        let address = server.local_addr().to_string();
        // Renamed, so that nobody reads half of it.
        fs::write(folder.join("address.new"), address).unwrap();
        fs::rename(folder.join("address.new"), folder.join("address")).unwrap();
        server.run(std::future::pending()).await.unwrap();
    });
}
