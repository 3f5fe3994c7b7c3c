extension Collection where Element == UInt8 {
    /// Looks at all bytes, whatever they are: how long a no takes must not tell how much was right. The length may be learnt.
    package func isEqualInConstantTime(to other: some Collection<UInt8>) -> Bool {
        count == other.count && zip(self, other).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
    }
}
