/// What a delivery would do, in the lines of `qmail-local -n` (spec-qmail §7.8).
package struct DeliveryDescription: Sendable {
    /// A real delivery would wait: the user is editing.
    package var isSticky = false
    /// A line for each instruction, then the counters.
    package private(set) var text: [UInt8] = []
    /// What a real delivery would stop at.
    package var failure: Undeliverable?

    mutating func add(_ instructions: [DotQmail.Instruction]) throws(Undeliverable) {
        var files = 0
        var forwards = 0
        var programs = 0
        for instruction in instructions {
            switch instruction {
            case .maildir(let path):
                files += 1
                add("maildir", path)
            case .mbox(let path):
                files += 1
                add("mbox", path)
            case .program(let command):
                programs += 1
                add("program", command)
            case .forward(let address):
                forwards += 1
                add("forward", address)
            case .forbiddenFile: throw .forbiddenFile
            case .forbiddenProgram: throw .forbiddenProgram
            }
        }
        add("did", Array("\(files)+\(forwards)+\(programs)".utf8))
    }

    private mutating func add(_ word: String, _ rest: [UInt8]) { text += Array("\(word) ".utf8) + rest + Array("\n".utf8) }
}
