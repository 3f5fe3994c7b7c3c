/// What a session has said and decided since the last event: lines first, in one piece, then the actions.
struct Replies<Action> {
    var bytes: [UInt8] = []
    private var actions: [Action] = []

    mutating func say(_ line: String) { bytes.append(contentsOf: Array("\(line)\r\n".utf8)) }

    mutating func say(_ line: [UInt8]) {
        bytes += line
        bytes.append("\r\n")
    }

    /// A reply of several lines; none begins with a dot.
    mutating func say(list: [String]) {
        say("+OK ")
        for line in list { say(line) }
        say(".")
    }

    mutating func add(_ action: Action) { actions.append(action) }

    /// - Parameter send: makes the action that sends bytes.
    mutating func take(_ send: ([UInt8]) -> Action) -> [Action] {
        defer { self = Replies() }
        return bytes.isEmpty ? actions : [send(bytes)] + actions
    }
}
