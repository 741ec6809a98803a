//! `conclave`: one binary, each command thin over a crate.

mod admin;
mod args;
mod bulk;
mod case;
mod chat;
mod completions;
mod demo;
mod device;
mod hints;
mod invite;
mod keyring;
mod load;
mod message;
mod moderate;
mod output;
mod passphrase;
mod profile;
mod qr;
mod reading;
mod recovery;
mod reporting;
mod roles;
mod serve;
mod tui;
mod verify;

use std::process::ExitCode;

use clap::Parser as _;

use crate::{
    args::{Args, Command, Device, Moderation},
    output::Output,
};

/// A server that lives for months must not grow by the gaps between what it freed.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// OpenMLS recurses deeper in debug builds than the default stack of 2 MiB always holds.
const STACK_BYTES: usize = 8 * 1024 * 1024;

fn main() -> ExitCode {
    let args = Args::parse();
    let output = Output::new(args.json);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK_BYTES)
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(run(args, &output)),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output.error(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args, output: &Output) -> anyhow::Result<()> {
    let file = args.passphrase_file.as_deref();
    let home = || passphrase::home(&args.home, file);
    let new_home = || passphrase::new_home(&args.home, file);
    match args.command {
        Command::Serve(serve) => serve::run(serve, output).await,
        Command::Demo(demo) => demo::run(demo).await,
        Command::Load(it) => load::load(it, output).await,
        Command::Completions { shell } => completions::run(shell),
        Command::Admin { command } => admin::run(&command, output),
        Command::Moderation(Moderation::VerifyReport(command)) => case::verify(&command, output),
        Command::Moderation(command) => moderate::run(&home()?, command, output).await,
        Command::Register {
            name,
            server,
            ca,
            code,
        } => {
            let registration = chat::registration(server, ca, code)?;
            chat::register(&new_home()?, &name, &registration, output).await
        }
        Command::Chat(chat) => tui::run(&home()?, chat).await,
        Command::Whoami => chat::whoami(&home()?, output),
        Command::Group { command } => chat::group(&home()?, command, output).await,
        Command::Invite { command } => invite::run(&home()?, command, output).await,
        Command::Account { command } => invite::account(&home()?, &command, output).await,
        Command::Device { command } => {
            let is_new = matches!(command, Device::Code { .. });
            let home = if is_new { new_home()? } else { home()? };
            device::run(&home, command, output).await
        }
        Command::Passphrase { command } => passphrase::run(&home()?, &command, output),
        Command::Verify {
            user,
            accept_new_key: digits,
            qr,
        } => verify::run(&home()?, &user, digits.as_deref(), qr, output).await,
        Command::Recovery { command } => recovery::run(&home()?, &command, output).await,
        Command::Recover(it) => {
            let registration = chat::registration(it.server, it.ca, it.code)?;
            let (name, revoke) = (it.name, it.revoke_others);
            recovery::recover(&new_home()?, name, &registration, revoke, output).await
        }
        Command::Send(send) => message::send(&home()?, &send, output).await,
        Command::React {
            message,
            reaction,
            withdraw,
        } => message::react(&home()?, &message, &reaction, withdraw, output).await,
        Command::Edit { message, text } => message::edit(&home()?, &message, &text, output).await,
        Command::Search {
            words,
            group,
            limit,
        } => reading::search(&home()?, &words, group.as_deref(), limit, output).await,
        Command::Export { group, to } => reading::export(&home()?, &group, &to, output).await,
        Command::Report(wanted) => reporting::report(&home()?, &wanted, output).await,
        Command::Mute { group, undo } => reading::mute(&home()?, &group, !undo, output).await,
        Command::Block { user, undo } => reading::block(&home()?, &user, !undo, output).await,
        Command::Receipts { choice } => reading::receipts(&home()?, choice, output).await,
        Command::Download {
            message,
            number,
            to,
        } => message::download(&home()?, &message, number, to, output).await,
        Command::Delete { message } => message::delete(&home()?, &message, output).await,
        Command::Read(read) => chat::read(&home()?, &read, output).await,
    }
}
