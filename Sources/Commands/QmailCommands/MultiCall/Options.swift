private import Bytes

/// Options as qmail's programs read them (spec-qmail §0): clustered letters, the value attached or the next argument, up to the first argument
/// that is none, or `--`.
package struct Options: Equatable, Sendable {
    package struct Option: Equatable, Sendable {
        package let letter: Character
        /// Empty for options without one.
        package let value: [UInt8]
    }

    package private(set) var options: [Option] = []
    package private(set) var rest: [[UInt8]] = []

    package enum Failure: Error, Equatable {
        case illegal(UInt8)
        case missingValue(UInt8)

        /// `PROG: illegal option -- X`
        package func message(_ program: [UInt8]) -> [UInt8] {
            switch self {
            case .illegal(let letter): program + ": illegal option -- ".utf8 + [letter, ASCII.lf]
            case .missingValue(let letter): program + ": option requires an argument -- ".utf8 + [letter, ASCII.lf]
            }
        }
    }

    /// - Parameter accepted: the letters; `:` behind one that takes a value, `;` behind one that takes what is attached and ignores it.
    package init(_ arguments: [[UInt8]], accepting accepted: String) throws(Failure) {
        let accepted = Array(accepted.utf8)
        var left = arguments[...]
        while let argument = left.first, argument.count > 1, argument[0] == ASCII.hyphen {
            left.removeFirst()
            if argument == [ASCII.hyphen, ASCII.hyphen] { break }
            try take(cluster: argument.dropFirst(), accepted, &left)
        }
        rest = Array(left)
    }

    private mutating func take(cluster: ArraySlice<UInt8>, _ accepted: [UInt8], _ left: inout ArraySlice<[UInt8]>) throws(Failure) {
        var cluster = cluster
        while let letter = cluster.popFirst() {
            guard letter != ASCII.colon, letter != UInt8(ascii: ";"), let index = accepted.firstIndex(of: letter) else { throw .illegal(letter) }
            let mark = index + 1 < accepted.count ? accepted[index + 1] : 0
            var value: [UInt8] = []
            if mark == ASCII.colon {
                if cluster.isEmpty {
                    guard let next = left.popFirst() else { throw .missingValue(letter) }
                    value = next
                } else {
                    value = Array(cluster)
                    cluster = []
                }
            } else if mark == UInt8(ascii: ";") {
                cluster = []
            }
            options.append(Option(letter: Character(UnicodeScalar(letter)), value: value))
        }
    }
}
