internal import ArgumentParser
private import Bytes
internal import Frames

/// What the commands have in common that change the queue.
struct ActionOptions: ParsableArguments {
    @OptionGroup var selection: SelectionOptions

    @Flag(help: "All messages, when nothing else says which.")
    var all = false

    @Flag(help: "Say what would be done, and do nothing.")
    var dryRun = false

    @Flag(help: "One JSON object at the end; with --dry-run one for each message.")
    var json = false

    func validate() throws {
        guard all || !selection.selectsAll else {
            throw ValidationError("say which messages: ids, --sender, --recipient, --domain, --older-than …, or --all")
        }
    }

    /// - Parameter done: `held` …, for the line at the end.
    func perform(_ action: Admin.Action, _ done: String) throws {
        let queue = try QueueConnection()
        if dryRun { return try list(action, queue, done) }
        var total = Admin.Progress()
        var (isComplete, refusal) = (true, String?.none)
        for part in selection.selections where refusal == nil {
            var progress = Admin.Progress()
            try queue.ask(.act(action, part)) { answer in
                switch answer {
                case .progress(let now):
                    progress = now
                    Terminal.progress("\(now.seen) of \(Terminal.counted(now.total, "message"))")
                case .missing(let id):
                    isComplete = false
                    Queue.complainMissing(id)
                case .refused(let why): refusal = why.text
                default: break
                }
            }
            total.messages += progress.messages
            total.recipients += progress.recipients
            total.underWay += progress.underWay
        }
        Terminal.progress("")
        if let refusal { throw Complaint(refusal) }
        print(json ? ActionOptions.json(total) : ActionOptions.text(action, total, done))
        if !isComplete { throw ExitCode.failure }
    }

    private func list(_ action: Admin.Action, _ queue: QueueConnection, _ done: String) throws {
        let table = QueueTable(isJSON: json) { $0.isDone ? action == .remove && $0.state == .failed : true }
        let isComplete = try Queue.list(selection.selections, queue, table, isPreview: action == .remove)
        if !json { print("would be \(done): \(table.counts)") }
        if !isComplete { throw ExitCode.failure }
    }

    private static func json(_ total: Admin.Progress) -> String {
        JSON.object([("messages", "\(total.messages)"), ("recipients", "\(total.recipients)"), ("underWay", "\(total.underWay)")])
    }

    private static func text(_ action: Admin.Action, _ total: Admin.Progress, _ done: String) -> String {
        switch action {
        case .hold, .release, .retry: return "\(done): \(Terminal.counted(total.messages, "message"))"
        case .expire, .remove, .reroute, .rerouteVia:
            let text = "\(done): \(Terminal.counted(total.recipients, "recipient")) of \(Terminal.counted(total.messages, "message"))"
            guard total.underWay > 0 else { return text }
            let isReroute = action != .expire && action != .remove
            return text
                + (isReroute
                    ? "; \(total.underWay) more were being delivered and stay as they are"
                    : "; \(total.underWay) of them are being delivered, and end so unless that succeeds")
        }
    }
}
