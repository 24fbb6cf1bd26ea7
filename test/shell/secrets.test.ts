import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { expandHome, hidingOf, MissingSecret, openSecrets } from '../../supervisor/shell/secrets.ts'

const folder = mkdtempSync('/tmp/ps-')
after(() => rmSync(folder, { recursive: true }))
const place = (name: string, text: string): string => {
  const path = join(folder, name)
  writeFileSync(path, text, { mode: 0o600 })
  return path
}

describe('references to secrets', () => {
  it('${file:…} is the text of a file without the line break at its end', () => {
    const path = place('token', 'abc def\n')
    assert.equal(openSecrets('/nowhere').resolve(`x-\${file:${path}}-y`), 'x-abc def-y')
  })

  it("${env:…} is of the home's env file first, quotes taken off, then of the supervisor's own environment", (t) => {
    const file = place('env', '# a comment\nexport FIRST="in the file"\nSECOND = plain \nEMPTY=\n')
    process.env['FIRST'] = 'in the environment'
    process.env['PAIOS_TEST_ONLY_HERE'] = 'environment'
    t.after(() => {
      delete process.env['FIRST']
      delete process.env['PAIOS_TEST_ONLY_HERE']
    })
    const { resolve } = openSecrets(file)
    assert.equal(resolve('${env:FIRST}'), 'in the file')
    assert.equal(resolve('${env:SECOND}'), 'plain')
    assert.equal(resolve('${env:PAIOS_TEST_ONLY_HERE}'), 'environment')
  })

  it('is read anew each time: a file that was rotated counts at once', () => {
    const path = place('rotated', 'the old one')
    const { resolve } = openSecrets('/nowhere')
    assert.equal(resolve(`\${file:${path}}`), 'the old one')
    place('rotated', 'the new one')
    assert.equal(resolve(`\${file:${path}}`), 'the new one')
  })

  it('${json:…#a.b} is a text inside a JSON5 file', () => {
    const path = place(
      'config.json5',
      "{ gateway: { auth: { token: 'deep inside' }, port: 1 } } // a comment",
    )
    const { resolve } = openSecrets('/nowhere')
    assert.equal(resolve(`\${json:${path}#gateway.auth.token}`), 'deep inside')
    assert.throws(() => resolve(`\${json:${path}#gateway.port}`), /the file has no text there/)
    assert.throws(() => resolve(`\${json:${path}#none.at.all}`), /the file has no text there/)
  })

  it('are found at every depth, and everything else stays as it was', () => {
    const path = place('deep', 'found')
    const value = { a: [`\${file:${path}}`, 7, null, true], b: { c: 'plain $HOME ${OTHER}' } }
    assert.deepEqual(openSecrets('/nowhere').resolve(value), {
      a: ['found', 7, null, true],
      b: { c: 'plain $HOME ${OTHER}' },
    })
  })

  it('that cannot be read are named with the place and the reason, never with a value', () => {
    const broken = place('broken.json5', '{ token: "very-secret-value", ')
    const { resolve } = openSecrets(place('env', 'KNOWN=another-secret-value\n'))
    const cases: [string, RegExp][] = [
      ['${file:/nowhere/token}', /\$\{file:\/nowhere\/token\} cannot be read: ENOENT/],
      [
        '${env:PAIOS_TEST_MISSING}',
        /\$\{env:PAIOS_TEST_MISSING\} is neither in .*env nor in the environment/,
      ],
      [`\${json:${broken}#token}`, /cannot be read: it does not parse/],
    ]
    for (const [reference, says] of cases) {
      assert.throws(
        () => resolve(['${env:KNOWN}', reference]),
        (error: Error) => {
          assert.ok(error instanceof MissingSecret)
          assert.match(error.message, says)
          assert.doesNotMatch(error.message, /secret-value/)
          return true
        },
      )
    }
  })
})

describe('redaction', () => {
  it('strikes out every value that was read, wherever it stands, and leaves short ones', () => {
    const secrets = openSecrets(place('env', 'LONG=s3cr3t-value\nSHORT=on\n'))
    assert.equal(secrets.redact('s3cr3t-value'), 's3cr3t-value', 'nothing was read yet')
    secrets.resolve('${env:LONG} ${env:SHORT}')
    assert.equal(secrets.redact('a s3cr3t-value, s3cr3t-value on'), 'a [redacted], [redacted] on')
  })

  it('of a value that another one contains leaves no rest of the longer', () => {
    const secrets = openSecrets(place('env', 'PART=abcdef\nWHOLE=abcdef-and-the-rest\n'))
    secrets.resolve('${env:PART} ${env:WHOLE}')
    assert.equal(secrets.redact('x abcdef-and-the-rest y'), 'x [redacted] y')
  })

  it('finds a value inside JSON, where quotes and line breaks are written with a backslash', () => {
    const secrets = openSecrets('/nowhere')
    const path = place('key', 'line "one"\nline two')
    secrets.resolve(`\${file:${path}}`)
    const text = JSON.stringify({ env: 'line "one"\nline two' })
    assert.equal(secrets.redact(text), '{"env":"[redacted]"}')
  })

  it('of a short value, or of one that is an ordinary word, only touches where it stands alone', () => {
    const secrets = openSecrets('/nowhere')
    const pairs: [string, string, string][] = [
      ['kiwi', 'kiwis kiwi, "kiwi" kiwi_1 akiwi', 'kiwis [redacted], "[redacted]" [redacted]_1 akiwi'],
      ['service', 'services of service kb', 'services of [redacted] kb'],
      ['482913', 'pid 4829130, pin 482913', 'pid 4829130, pin [redacted]'],
      ['a1+b', 'a1+bc xa1+b a1+b', 'a1+bc xa1+b [redacted]'],
    ]
    for (const [value, text, clean] of pairs) {
      secrets.resolve(`\${file:${place('short', value)}}`)
      assert.equal(secrets.redact(text), clean)
    }
  })

  it('finds a short value behind an escape sequence, whose letters are no part of a word', () => {
    const secrets = openSecrets('/nowhere')
    secrets.resolve(`\${file:${place('short', 'kiwi')}}`)
    for (const before of ['\\n', '\\u000a', '%20', '\x1b[31m', '\\x0a', '=', 'user:', ''])
      assert.equal(secrets.redact(`${before}kiwi`), `${before}[redacted]`)
  })

  it('of a random value is wherever it stands, also within other words and as a URL writes it', () => {
    const secrets = openSecrets('/nowhere')
    secrets.resolve(`\${file:${place('long', 'x7 qq/9z')}}`)
    assert.equal(secrets.redact('axx7 qq/9zb ?k=x7%20qq%2F9z'), 'ax[redacted]b ?k=[redacted]')
    secrets.resolve(`\${file:${place('long', 'correcthorsebattery')}}`)
    assert.equal(secrets.redact('mycorrecthorsebatterys'), 'my[redacted]s')
  })

  it('leaves settings that an ${env:…} holds, but not the same words from a file of secrets', () => {
    const path = mkdtempSync('/tmp/ps-')
    const names = `A=production\nB=8080\nC=${path}\nD=Debug\n`
    const text = `debug on port 8080 of production in ${path}: Debug`
    const secrets = openSecrets(place('env', names))
    secrets.resolve('${env:A} ${env:B} ${env:C} ${env:D}')
    assert.equal(secrets.redact(text), text)
    secrets.resolve(`\${file:${place('word', 'production')}}`)
    assert.equal(secrets.redact(text), text.replace('production', '[redacted]'))
    rmSync(path, { recursive: true })
  })

  it('finds each line of a key, since logs come line by line', () => {
    const secrets = openSecrets('/nowhere')
    const key = '-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nAQEFAASCBKcwggSjAgEAAoIB\n-----END KEY-----'
    secrets.resolve(`\${file:${place('key', key)}}`)
    assert.equal(secrets.redact('read AQEFAASCBKcwggSjAgEAAoIB'), 'read [redacted]')
  })

  it('is told apart for `paios check`', () => {
    const cases = [
      ['${file:/x}', 'abc', 'nowhere'],
      ['${file:/x}', 'true', 'alone'],
      ['${file:/x}', 'sunshine', 'alone'],
      ['${file:/x}', 'hunter2', 'everywhere'],
      ['${json:/x#a}', '8080', 'alone'],
      ['${env:X}', '8080', 'nowhere'],
      ['${env:X}', 'main', 'nowhere'],
      ['${env:X}', '/usr/bin', 'nowhere'],
      ['${env:X}', '/no/such/path', 'everywhere'],
      ['${env:X}', 'sunshine', 'alone'],
      ['${env:X}', 'a-long-secret', 'everywhere'],
    ] as const
    for (const [reference, value, hiding] of cases) assert.equal(hidingOf(reference, value), hiding, value)
  })
})

describe('expandHome', () => {
  it('expands a leading ~/ and a lone ~, nothing else', () => {
    assert.equal(expandHome('~/x'), join(homedir(), 'x'))
    assert.equal(expandHome('~'), homedir())
    assert.equal(expandHome('/a/~/b'), '/a/~/b')
    assert.equal(expandHome('~other/x'), '~other/x')
  })
})
