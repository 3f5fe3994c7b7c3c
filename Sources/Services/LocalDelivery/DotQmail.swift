private import Bytes

/// The instructions of a `.qmail` file, or of the default delivery, in their order (spec-qmail §7.4).
package struct DotQmail: Equatable, Sendable {
    package enum Instruction: Equatable, Sendable {
        /// The directory, with the slash at its end.
        case maildir([UInt8])
        case mbox([UInt8])
        /// A command for `/bin/sh -c`.
        case program([UInt8])
        /// An address, as it stands.
        case forward([UInt8])
        /// A file line where only forwarding is allowed.
        case forbiddenFile
        /// A program line where only forwarding is allowed.
        case forbiddenProgram
    }

    package enum Failure: Error, Equatable {
        /// A file that begins with nothing is one that is being edited.
        case firstLineBlank
    }

    package let instructions: [Instruction]

    /// - Parameter isForwardOnly: the file has its execute bit set; a line `+list` does the same for what follows it.
    package init(_ text: some Collection<UInt8>, isForwardOnly: Bool = false) throws(Failure) {
        var isForwardOnly = isForwardOnly
        var instructions: [Instruction] = []
        for (index, untrimmed) in Array(text).split(separator: ASCII.lf, omittingEmptySubsequences: false).enumerated() {
            let line = untrimmed.trimmingTrailingBlanks()
            guard let first = line.first else {
                if index == 0 { throw .firstLineBlank }
                continue
            }
            switch first {
            case ASCII.hash: continue
            case ASCII.plus: isForwardOnly = isForwardOnly || line.elementsEqual("+list".utf8)
            default: instructions.append(DotQmail.instruction(first, line, isForwardOnly))
            }
        }
        self.instructions = instructions
    }

    private static let bar: UInt8 = 0x7C

    private static func instruction(_ first: UInt8, _ line: ArraySlice<UInt8>, _ isForwardOnly: Bool) -> Instruction {
        switch first {
        case ASCII.dot, ASCII.slash:
            if isForwardOnly { return .forbiddenFile }
            return line.last == ASCII.slash ? .maildir(Array(line)) : .mbox(Array(line))
        case bar: return isForwardOnly ? .forbiddenProgram : .program(Array(line.dropFirst()))
        case ASCII.ampersand: return .forward(Array(line.dropFirst()))
        default: return .forward(Array(line))
        }
    }
}
