private import Bytes

/// A domain as DNS knows it: labels with letters beyond ASCII become A-labels (RFC 5890 §2.3.2.1, RFC 5891 §5), in lower case.
///
/// Letters, marks and digits are taken (RFC 5892 §2.1). What would have to be composed first (a letter and its accent as two characters) is not:
/// names are typed and registered composed.
/// - Returns: nil for what can be no domain; one of ASCII alone comes back as it is.
package func domainInALabels(_ domain: some Collection<UInt8>) -> [UInt8]? {
    let bytes = Array(domain)
    guard bytes.contains(where: { $0 >= 0x80 }) else { return bytes }
    guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
    var result: [UInt8] = []
    for (index, label) in text.unicodeScalars.split(separator: ".", omittingEmptySubsequences: false).enumerated() {
        if index > 0 { result.append(ASCII.dot) }
        guard let encoded = aLabel(label) else { return nil }
        result += encoded
    }
    return result
}

/// RFC 1035 §2.3.4.
private let maxLabelBytes = 63
private let prefix = Array("xn--".utf8)

private func aLabel(_ label: Substring.UnicodeScalarView) -> [UInt8]? {
    guard !label.allSatisfy(\.isASCII) else { return Array(String(label).utf8).lowercasedASCII() }
    let scalars = label.flatMap { Array($0.properties.lowercaseMapping.unicodeScalars) }
    guard scalars.count <= maxLabelBytes, let first = scalars.first, !isMark(first), scalars.allSatisfy(mayStandInLabel),
        let encoded = punycode(scalars.map(\.value))
    else { return nil }
    let result = prefix + encoded
    return result.count <= maxLabelBytes ? result : nil
}

private func isMark(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .nonspacingMark, .spacingMark: true
    default: false
    }
}

private func mayStandInLabel(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.isASCII { return scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || scalar == "-" }
    switch scalar.value {
    // Accents, the voiced marks of kana, and jamo compose with what stands before them.
    case 0x0300...0x036F, 0x1100...0x11FF, 0x3099, 0x309A: return false
    default: break
    }
    switch scalar.properties.generalCategory {
    case .lowercaseLetter, .otherLetter, .modifierLetter, .nonspacingMark, .spacingMark, .decimalNumber: return true
    default: return false
    }
}

/// RFC 3492 §6.3, with the parameters of §5. Nil on overflow.
private func punycode(_ input: [UInt32]) -> [UInt8]? {
    var output = input.filter { $0 < 0x80 }.map { UInt8($0) }
    let basic = UInt32(output.count)
    if basic > 0 { output.append(ASCII.hyphen) }
    var (next, delta, bias, handled) = (UInt32(128), UInt32(0), UInt32(72), basic)
    while handled < input.count {
        guard let least = input.filter({ $0 >= next }).min() else { return nil }
        let (step, stepOverflow) = (least - next).multipliedReportingOverflow(by: handled + 1)
        let (sum, sumOverflow) = delta.addingReportingOverflow(step)
        guard !stepOverflow, !sumOverflow else { return nil }
        (delta, next) = (sum, least)
        for value in input {
            if value < next { delta += 1 }
            guard value == next else { continue }
            output += variableLength(delta, bias)
            bias = adapted(delta, points: handled + 1, isFirst: handled == basic)
            (delta, handled) = (0, handled + 1)
        }
        delta += 1
        next += 1
    }
    return output
}

private let (base, tMin, tMax, skew, damp) = (UInt32(36), UInt32(1), UInt32(26), UInt32(38), UInt32(700))

/// A number in digits whose base depends on their place; `a`…`z` are 0…25, `0`…`9` are 26…35.
private func variableLength(_ number: UInt32, _ bias: UInt32) -> [UInt8] {
    var result: [UInt8] = []
    var rest = number
    var place = base
    while true {
        let threshold = place <= bias ? tMin : min(place - bias, tMax)
        guard rest >= threshold else { return result + [digit(rest)] }
        result.append(digit(threshold + (rest - threshold) % (base - threshold)))
        rest = (rest - threshold) / (base - threshold)
        place += base
    }
}

private func digit(_ value: UInt32) -> UInt8 { UInt8(value < 26 ? value + 97 : value + 22) }

/// RFC 3492 §6.1.
private func adapted(_ delta: UInt32, points: UInt32, isFirst: Bool) -> UInt32 {
    var delta = isFirst ? delta / damp : delta / 2
    delta += delta / points
    var place: UInt32 = 0
    while delta > (base - tMin) * tMax / 2 {
        delta /= base - tMin
        place += base
    }
    return place + (base - tMin + 1) * delta / (delta + skew)
}
