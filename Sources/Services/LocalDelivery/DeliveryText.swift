/// The text of a local delivery's report: what programs wrote and what delivery itself has to say (spec-qmail §1.4, §2.4).
enum DeliveryText {
    static let maxBytes = 3000
    private static let keptBytes = 2966

    /// Up to the first NUL, and within the limit.
    static func limited(_ output: [UInt8]) -> [UInt8] {
        let text = Array(output.prefix { $0 != 0 })
        return text.count <= maxBytes ? text : text.prefix(keptBytes) + Array("\nError report too long, sorry.\n".utf8)
    }
}
