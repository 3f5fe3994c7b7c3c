internal import Addresses
internal import JournalFormat
internal import Posix

/// The messages of a qmail queue that are to be imported; all others are named in the report.
struct MessageSelection {
    struct Message {
        let id: UInt64
        let identity: SourceIdentity
        let isRouted: Bool
    }

    let source: SourceQueue
    private(set) var messages: [Message] = []

    /// - Parameter isImported: by an earlier run.
    init(_ source: SourceQueue, isImported: (SourceIdentity) -> Bool, _ report: ImportReport) {
        self.source = source
        for stranger in source.strangers { report.add(.skipped, "queue/\(stranger.path)", stranger.why) }
        for id in source.ids { add(id, isImported, report) }
    }

    private mutating func add(_ id: UInt64, _ isImported: (SourceIdentity) -> Bool, _ report: ImportReport) {
        let state = source.state(of: id)
        switch state {
        case .skipped(let why):
            report.counts.skipped += 1
            report.add(.skipped, "msg \(id)", why)
        case .damaged(let why): Self.damaged(id, why, report)
        case .queued, .preprocessed:
            do throws(SystemError) {
                let identity = SourceIdentity(id, try SourceFile(source.path(.mess, id)))
                guard !isImported(identity) else {
                    report.counts.importedBefore += 1
                    return
                }
                messages.append(Message(id: id, identity: identity, isRouted: state == .preprocessed))
            } catch {
                Self.damaged(id, "\(error)", report)
            }
        }
    }

    static func damaged(_ id: UInt64, _ why: String, _ report: ImportReport) {
        report.counts.damaged += 1
        report.add(.trouble, "msg \(id)", "\(why): not imported")
    }

    /// Reads one of the messages and hands it on with its content; a damaged one goes to the report.
    func read(
        _ message: Message, _ route: (Address) -> PackedRecipients.Route?, _ report: ImportReport,
        _ body: (SourceMessage, borrowing SourceFile) throws(QueueImport.Failure) -> Void
    ) throws(QueueImport.Failure) {
        let reading: Reading
        do throws(SourceMessage.Damage) { reading = try Reading(message, source, route) } catch {
            return Self.damaged(message.id, error.text, report)
        }
        for note in reading.message.notes { report.add(.note, "msg \(message.id)", note) }
        if !message.isRouted, source.has(.bounce, message.id) {
            report.add(.note, "msg \(message.id)", "\(source.name(.bounce, message.id)) is not of this message, which was never tried: left out")
        }
        try body(reading.message, reading.content)
    }

    private struct Reading: ~Copyable {
        let message: SourceMessage
        let content: SourceFile

        init(_ message: Message, _ source: SourceQueue, _ route: (Address) -> PackedRecipients.Route?) throws(SourceMessage.Damage) {
            let file: SourceFile
            do throws(SystemError) { file = try SourceFile(source.path(.mess, message.id)) } catch { throw SourceMessage.Damage(error) }
            self.message =
                try message.isRouted
                ? SourceMessage(preprocessed: message.id, in: source, file)
                : SourceMessage(queued: message.id, in: source, file, route: route)
            content = file
        }
    }
}

extension ImportReport.Counts {
    /// One more message.
    mutating func add(_ message: SourceMessage, isRouted: Bool, bytes: Int) {
        imported += 1
        self.bytes += bytes
        failed += message.failures.count
        for recipient in message.recipients {
            switch (recipient.state, recipient.channel) {
            case (.pending, _) where !isRouted: unrouted += 1
            case (.pending, .local): waitingLocal += 1
            case (.pending, .remote): waitingRemote += 1
            default: done += 1
            }
        }
    }
}
