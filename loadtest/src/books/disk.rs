//! A disk whose power can be cut: an ext4 file system of its own in a file, mounted by loop.
//!
//! `kill -9` does not test durability: what a process wrote stays in the page cache. Here the
//! ext4 shutdown ioctl stops the file system at once, without writing out anything, so that after
//! the next mount only what was synced is there. The ioctl is made by a child (perl or python3),
//! because in Rust it is unsafe. It takes root, loop devices and the tools of ext4; where one of
//! them is missing, or the disk does not forget what it should, that is said and nothing is
//! tested.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::clock::pause;
use crate::failure::Failure;

/// The disk; unmounted and gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Disk {
    folder: PathBuf,
    image: PathBuf,
    mount: PathBuf,
    /// The program that makes the ioctl, up to the mount point.
    ioctl: [&'static str; 3],
}

impl Drop for Disk {
    fn drop(&mut self) {
        // It may not be mounted; and if it cannot be unmounted, its files must stay.
        let _ = self.unmount();
        let _ = fs::remove_file(&self.image);
        let _ = fs::remove_dir(&self.mount);
        let _ = fs::remove_dir(&self.folder);
    }
}

impl Disk {
    /// Makes one, mounts it, and sees that a cut loses what was not synced and nothing else.
    pub(crate) fn prepare() -> Result<Disk, Failure> {
        let skipped = |why: String| Failure::Skipped(format!("no power cuts here: {why}"));
        if !rustix::process::geteuid().is_root() {
            return Err(skipped("it takes root to mount a disk".into()));
        }
        let known =
            IOCTLS.into_iter().find(|[program, flag, _]| run(program, &[flag, "1"]).is_ok());
        let ioctl = known.ok_or_else(|| skipped("neither perl nor python3 runs".into()))?;
        let folder = std::env::temp_dir().join(format!("loadtest-disk-{}", std::process::id()));
        let (image, mount) = (folder.join("image"), folder.join("mount"));
        let disk = Disk { folder, image, mount, ioctl };
        disk.make().and_then(|()| disk.prove()).map_err(skipped)?;
        Ok(disk)
    }

    /// Where it is mounted.
    pub(crate) fn mount_point(&self) -> &Path {
        &self.mount
    }

    /// Cuts the power: what is not on the disk by now never will be, and nothing works any more.
    pub(crate) fn cut(&self) -> Result<(), Failure> {
        self.shut_down().map_err(|why| Failure::of("cut the power", why))
    }

    /// Turns the power on again. Nothing may be open on it.
    pub(crate) fn restore(&self) -> Result<(), Failure> {
        self.mend().map_err(|why| Failure::of("restore the power", why))
    }

    fn make(&self) -> Result<(), String> {
        fs::create_dir_all(&self.mount).map_err(|error| error.to_string())?;
        let image = File::create(&self.image).and_then(|file| file.set_len(DISK_BYTES));
        image.map_err(|error| error.to_string())?;
        run("mkfs.ext4", &["-q", "-F", &text(&self.image)])?;
        self.mount()
    }

    fn prove(&self) -> Result<(), String> {
        let write = |name: &str, synced: bool| {
            let mut file = File::create(self.mount.join(name))?;
            file.write_all(&[1; 5_000])?;
            if synced { file.sync_all() } else { Ok(()) }
        };
        let written = write("synced", true).and_then(|()| write("lost", false));
        written.map_err(|error| error.to_string())?;
        self.shut_down()?;
        self.mend()?;
        let length = |name: &str| fs::read(self.mount.join(name)).map_or(0, |bytes| bytes.len());
        match (length("synced"), length("lost")) {
            (5_000, 0) => Ok(()),
            other => Err(format!("of 5000 bytes synced and 5000 not, {other:?} came back")),
        }
    }

    fn shut_down(&self) -> Result<(), String> {
        let [program, flag, script] = self.ioctl;
        run(program, &[flag, script, &text(&self.mount)])
    }

    fn mend(&self) -> Result<(), String> {
        self.unmount()?;
        run("e2fsck", &["-f", "-p", &text(&self.image)])?;
        self.mount()
    }

    fn mount(&self) -> Result<(), String> {
        run("mount", &["-o", "loop", &text(&self.image), &text(&self.mount)])
    }

    /// A process that was just killed may take a moment to let go.
    fn unmount(&self) -> Result<(), String> {
        let mut last = Ok(());
        for _ in 0..50 {
            last = run("umount", &[&text(&self.mount)]);
            if last.is_ok() {
                break;
            }
            pause(Duration::from_millis(20));
        }
        last
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Runs a tool to its end; what it complained about if it failed.
fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    let output = command.output().map_err(|error| format!("{program}: {error}"))?;
    // The check of a file system ends with 1 if it mended something.
    let mended = program == "e2fsck" && output.status.code() == Some(1);
    if output.status.success() || mended {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} ({}): {}", output.status, said.trim()))
}

/// What makes the ioctl `EXT4_IOC_SHUTDOWN` with 2, "do not flush the log".
const IOCTLS: [[&str; 3]; 2] = [
    [
        "perl",
        "-e",
        "open(my $d, '<', $ARGV[0]) or die \"open: $!\"; my $how = pack('L', 2); \
         ioctl($d, 0x8004587d, $how) or die \"ioctl: $!\"",
    ],
    [
        "python3",
        "-c",
        "import fcntl, os, struct, sys; \
         fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))",
    ],
];

/// Sparse: room for the journal of some hours.
const DISK_BYTES: u64 = 4 << 30;
