internal import ArgumentParser
internal import Frames

extension Queue {
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists messages with the recipients that are selected.",
            discussion: """
                On a terminal a table. In a pipe one line for each recipient, its fields behind tabs: id, when it came in, size, sender, state, next \
                attempt, channel, recipient, relay; times are seconds since 1970.
                """)

        @OptionGroup var selection: SelectionOptions

        @Flag(help: "One JSON object for each message, on a line of its own.")
        var json = false

        func run() throws {
            let queue = try QueueConnection()
            let table = QueueTable(isJSON: json) { _ in true }
            let isComplete = try Queue.list(selection.selections, queue, table)
            if !json, Terminal.isOutput { print(table.counts) }
            if !isComplete { throw ExitCode.failure }
        }
    }

    /// - Parameter isPreview: of what `remove` would take.
    /// - Returns: whether every id that was asked for is in the queue.
    static func list(
        _ selections: [Admin.Selection], _ queue: QueueConnection, _ table: QueueTable, isPreview: Bool = false
    ) throws(Complaint) -> Bool {
        var isComplete = true
        for selection in selections {
            try queue.ask(isPreview ? .preview(selection) : .list(selection)) { answer in
                if case .missing(let id) = answer {
                    isComplete = false
                    complainMissing(id)
                }
                table.take(answer)
            }
        }
        table.finish()
        return isComplete
    }

    static func complainMissing(_ id: UInt64) { Terminal.complain("no message \(id) is in the queue") }
}
