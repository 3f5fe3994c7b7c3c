import Journal
import JournalFormat
import Testing

/// docs/queue.md, "The argument": each entry fits a segment.
@Suite struct EntriesTests {
    private var parameters: Journal.Parameters {
        var parameters = Journal.Parameters()
        parameters.segmentSize = 1 << 20
        return parameters
    }

    private func outcomes(_ lengths: [Int]) -> [JournalRecord] {
        lengths.enumerated().map { .outcome(id: UInt64($0), recipient: 0, .failed, text: [UInt8](repeating: 0x61, count: $1)[...]) }
    }

    /// Texts in bytes; how many of them stand in each entry.
    @Test(
        arguments: [
            ([], []), ([0], [1]), ([65_536, 65_400, 50], [2, 1]), ([200_000], [1]), ([1, 200_000, 1], [1, 1, 1]),
            (Array(repeating: 60_000, count: 500), Array(repeating: 2, count: 250)), (Array(repeating: 0, count: 500), [500]),
        ] as [([Int], [Int])])
    func recordsAreSplitByBytes(_ lengths: [Int], _ counts: [Int]) {
        let records = outcomes(lengths)
        let entries = parameters.entries(of: records)
        #expect(entries.map(\.count) == counts)
        #expect(Array(entries.joined()) == records)
        for entry in entries where entry.count > 1 { #expect(JournalEntry.records(entry).length <= parameters.maxInlineBytes) }
    }
}
