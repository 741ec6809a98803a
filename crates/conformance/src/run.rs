//! One run: the files of some paths, each entry given to each engine.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use crate::{
    engine::EngineName,
    report::{EngineReport, FileReport, Report},
    vectors::{self, Vector},
};

/// Folders inside folders that are looked into.
const DEPTH_MAX: usize = 8;

/// The vector files under these paths: a file is one itself; of a folder, all `.json` files in it and
/// below that hold a JSON array, sorted.
///
/// # Errors
///
/// If a path does not exist or can't be read, or nothing is found.
pub fn files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    find(paths, is_array)
}

fn find(paths: &[PathBuf], wanted: fn(&Path) -> bool) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            walk(path, DEPTH_MAX, wanted, &mut found)?;
        } else {
            path.metadata()
                .with_context(|| path.display().to_string())?;
            found.push(path.clone());
        }
    }
    anyhow::ensure!(!found.is_empty(), "there is no such file here");
    Ok(found)
}

/// The files of interop scripts under these paths: as [`files`], but of a folder those that hold a
/// JSON object.
///
/// # Errors
///
/// If a path can't be read, or nothing is found.
pub(crate) fn scripts(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    find(paths, |path| !is_array(path))
}

/// Gives every entry of every file to every engine.
///
/// # Errors
///
/// If a file can't be read or is no vector file. Entries that fail are no error here: they are in
/// the report.
pub fn check(files: &[PathBuf], engines: &[EngineName]) -> anyhow::Result<Report> {
    let reports = files.iter().map(|path| check_file(path, engines));
    Ok(Report {
        files: reports.collect::<anyhow::Result<_>>()?,
    })
}

fn check_file(path: &Path, engines: &[EngineName]) -> anyhow::Result<FileReport> {
    let entries = vectors::read(path).with_context(|| path.display().to_string())?;
    let engines = engines
        .iter()
        .map(|engine| check_entries(&entries, *engine))
        .collect();
    Ok(FileReport {
        path: path.display().to_string(),
        kind: entries.first().map_or("", |entry| entry.kind().name()),
        entries: entries.len(),
        engines,
    })
}

fn check_entries(entries: &[Vector], engine: EngineName) -> EngineReport {
    let mut report = EngineReport::new(engine);
    for (index, entry) in entries.iter().enumerate() {
        report.add(index, engine.judge(entry));
    }
    report
}

fn walk(
    folder: &Path,
    depth: usize,
    wanted: fn(&Path) -> bool,
    found: &mut Vec<PathBuf>,
) -> anyhow::Result<()> {
    let context = || folder.display().to_string();
    let mut entries = fs::read_dir(folder)
        .with_context(context)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .with_context(context)?;
    entries.sort();
    for path in entries {
        if path.is_dir() && depth > 0 {
            walk(&path, depth - 1, wanted, found)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "json")
            && wanted(&path)
        {
            found.push(path);
        }
    }
    Ok(())
}

/// Interop scripts are JSON objects; they lie beside the vectors and are none. What is no JSON at
/// all is kept, so that a damaged file is noticed.
fn is_array(path: &Path) -> bool {
    let first = fs::read(path)
        .ok()
        .and_then(|bytes| bytes.into_iter().find(|byte| !byte.is_ascii_whitespace()));
    first != Some(b'{')
}
