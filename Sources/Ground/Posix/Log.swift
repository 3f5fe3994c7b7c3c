private import Bytes
private import CPosix

/// One line on fd 2, in one write, so that lines of several processes never mix.
package func log(_ line: String) {
    var bytes = Array(line.utf8.prefix(maxLogLine))
    bytes.append(ASCII.lf)
    bytes.withUnsafeBytes { martlet_log($0.baseAddress, $0.count) }
}

/// hardening.md "LOG": at most 2 KiB a line.
package let maxLogLine = 2047

/// Text from outside as qmail's log shows it (spec-qmail §10.1): LF becomes `/`; `%` and everything not visible ASCII becomes `_`.
package func logsafe(_ bytes: some Collection<UInt8>) -> String {
    String(
        decoding: bytes.lazy.map { byte -> UInt8 in
            if byte == ASCII.lf { return ASCII.slash }
            return byte == ASCII.percent || !byte.isGraphic ? ASCII.underscore : byte
        }, as: UTF8.self)
}
