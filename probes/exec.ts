/** Passes when a program ends as expected. */
import { lastLine } from './excerpt.ts'
import { defineProbe, fail, pass, unknown } from './probe.ts'

/** Runs a program and judges its exit code and output. One that cannot be run is unknown, not a failure. */
export const exec = defineProbe(
  'exec',
  ({ z, pattern }) => ({
    command: z.array(z.string()).min(1),
    exitCode: z.int().min(0).max(255).default(0),
    /** Must match standard output or standard error. */
    output: pattern.optional(),
    env: z.record(z.string(), z.string()).default({}),
  }),
  async ({ command, exitCode, output, env }, target) => {
    const expected = output === undefined ? null : new RegExp(output, 'm')
    const program = command[0] ?? ''
    return {
      async check(signal) {
        let result: Awaited<ReturnType<typeof target.run>>
        try {
          result = await target.run(command, { env, signal })
        } catch (error) {
          if (signal.aborted) return fail(`${program}: not finished in time`)
          return unknown(
            `${program} cannot be run: ${(error as NodeJS.ErrnoException).code ?? String(error)}`,
          )
        }
        if (signal.aborted) return fail(`${program}: not finished in time`)
        if (result.code !== exitCode) {
          const ended = result.code === null ? `ended by ${result.signal}` : `exit ${result.code}`
          const said = lastLine(result.stderr) || lastLine(result.stdout)
          return fail(`${program}: ${ended}, expected exit ${exitCode}${said && `: ${said}`}`)
        }
        if (expected === null || expected.test(result.stdout) || expected.test(result.stderr)) return pass()
        return fail(`${program}: output does not match ${expected.source}`)
      },
      close: () => Promise.resolve(),
    }
  },
)
