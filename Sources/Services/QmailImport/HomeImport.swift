private import Addresses
private import ControlFiles
private import Glibc
private import Journal
private import JournalFormat
private import Posix
private import QueueStore
private import Routing
private import Storage

/// Takes over from a stopped qmail: its files of configuration, then its queue. The working directory is our home; theirs is only read.
package struct HomeImport {
    /// qmail's home.
    private let path: String
    private let isDryRun: Bool
    private let overwrites: Bool
    private let report: ImportReport

    /// - Parameter overwrites: files of configuration that we have and that differ are replaced.
    package init(_ path: String, isDryRun: Bool, overwrites: Bool, _ report: ImportReport) {
        self.path = path
        self.isDryRun = isDryRun
        self.overwrites = overwrites
        self.report = report
    }

    package func run() throws(ImportRefusal) {
        let source = try SourceHome(path)
        if source.isRunning {
            guard isDryRun else { throw .qmailRuns(path) }
            report.add(.note, path, "qmail-send runs there: what is in its queue changes all the time")
        }
        if isDryRun { try copyFilesAndLook() } else { try importAll() }
        withExtendedLifetime(source) {}
    }

    private func copyFiles() throws(ImportRefusal) {
        do throws(SystemError) {
            try HomeFiles(source: path, isDryRun: isDryRun, overwrites: overwrites, report: report).copyAll()
        } catch {
            throw .disk(error)
        }
    }

    // MARK: In earnest

    private func importAll() throws(ImportRefusal) {
        guard let rights = HomeImport.queueRights() else { throw .noHome }
        guard !HomeImport.martletdRuns() else { throw .martletdRuns }
        let lock: QueueLock
        do throws(SystemError) { lock = try rights.use { () throws(SystemError) -> QueueLock in try QueueLock() } } catch {
            throw error.errno == EWOULDBLOCK ? .martletdRuns : .disk(error)
        }
        try copyFiles()
        let control = ControlDirectory()
        let rewriting = try ControlCheck(control: control, users: "users").run(report)
        let parameters: Journal.Parameters
        do { parameters = try Journal.Parameters(control) } catch {
            throw (error as? ControlFileError).map { .control($0) } ?? .disk(SystemError(call: "read", subject: "control", errno: EIO))
        }
        let queue = try HomeImport.queue(path)
        do throws(QueueImport.Failure) {
            let new = try QueueImport(
                queue, into: Disk("queue", rights: rights), parameters, random: { randomBytes(16) },
                route: {
                    rewriting.channel(of: $0).map { PackedRecipients.Route($0.channel, $0.recipient.bytes, prepended: $0.prepended) }
                }, report)
            try new.run()
        } catch {
            throw .queue(error)
        }
        try lookAgain(queue)
        withExtendedLifetime(lock) {}
    }

    private static func queue(_ path: String) throws(ImportRefusal) -> SourceQueue {
        do throws(SystemError) { return try SourceQueue("\(path)/queue") } catch { throw .disk(error) }
    }

    /// Something may still run that queues mail.
    private func lookAgain(_ before: SourceQueue) throws(ImportRefusal) {
        let now = try HomeImport.queue(path)
        let new = now.ids.filter { now.state(of: $0) != before.state(of: $0) }
        if !new.isEmpty { report.add(.trouble, path, "\(new.count) messages came in meanwhile: stop what queues them, then import again") }
    }

    /// Of the account that the queue runs under, as its folder tells; nil when there is none.
    private static func queueRights() -> Rights? {
        var info = stat()
        return stat("queue", &info) == 0 ? Rights(uid: info.st_uid, gid: info.st_gid) : nil
    }

    private static func martletdRuns() -> Bool {
        guard let file = try? FileDescriptor.openIfPresent("run/martletd.lock", O_RDONLY | O_NOFOLLOW) else { return false }
        return flock(file.raw, LOCK_SH | LOCK_NB) != 0
    }

    // MARK: Dry run

    private func copyFilesAndLook() throws(ImportRefusal) {
        try copyFiles()
        let control = ControlDirectory("\(path)/control")
        if access(control.file("me"), F_OK) == 0 {
            _ = try ControlCheck(control: control, users: "\(path)/users").run(report)
        } else {
            report.add(.note, "control", "qmail has no control/me: its control files were not looked into")
        }
        let queue = try HomeImport.queue(path)
        let unrouted = { (recipient: Address) -> PackedRecipients.Route? in PackedRecipients.Route(remote: recipient.bytes) }
        do throws(QueueImport.Failure) {
            let done = try ImportLedger(.done, in: Disk("queue"))
            let selection = MessageSelection(queue, isImported: { done.ids[$0] != nil }, report)
            for (number, message) in selection.messages.enumerated() {
                try selection.read(message, unrouted, report) { (found, content) throws(QueueImport.Failure) in
                    report.counts.add(found, isRouted: message.isRouted, bytes: content.size)
                }
                report.advanced(to: number + 1, of: selection.messages.count)
            }
        } catch {
            throw .queue(error)
        }
    }
}
