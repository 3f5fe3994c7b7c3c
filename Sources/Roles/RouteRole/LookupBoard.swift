internal import Posix
internal import Routing

/// Questions and answers between the loop and the threads that look up.
final class LookupBoard: Sendable {
    typealias Outcome = Result<LocalUserDirectory.Finding, LookupTrouble>

    private let questions = Monitor<[[UInt8]]>([])
    private let answers = Monitor<[(key: [UInt8], outcome: Outcome)]>([])

    func ask(_ localPart: [UInt8]) {
        questions.with { $0.append(localPart) }
        questions.wakeOne()
    }

    /// All that were found since the last call.
    func takeAnswers() -> [(key: [UInt8], outcome: Outcome)] {
        answers.with { found in
            defer { found.removeAll(keepingCapacity: true) }
            return found
        }
    }

    /// A thread's life: it ends with the process.
    func work(_ directory: LocalUserDirectory, _ wakeup: Wakeup) -> Never {
        while true {
            let key = questions.wait { $0.isEmpty ? nil : $0.removeFirst() }
            let outcome = Result { () throws(LookupTrouble) in try directory.find(key[...]) }
            answers.with { $0.append((key, outcome)) }
            wakeup.wake()
        }
    }
}
