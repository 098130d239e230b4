import { Alert, Button, Center, Code, Group, Paper, PasswordInput, Stack, Text, Title } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { ApiError, http, unwrap } from "@/api/client";
import { sessionQuery } from "@/api/queries";
import { Logo } from "@/components/layout/Logo";
import { useTitle } from "@/components/navigation/use-title";

/** Why the server redirected a link here, by the `error` parameter. */
const LINK_ERRORS: Record<string, string> = {
  token:
    "The token in that link is not valid for this installation. Use the link that the server printed when it last started.",
  attempts:
    "The token in that link is not valid, and there were many failed attempts. The right token still works.",
  site: "Links on other sites can't sign you in. Open the link directly, or paste its token here.",
};

export function SignInPage() {
  useTitle("Sign in");
  const client = useQueryClient();
  const [token, setToken] = useState("");
  const linkError = LINK_ERRORS[new URLSearchParams(window.location.search).get("error") ?? ""];
  const signIn = useMutation({
    mutationFn: () => unwrap(http.POST("/api/v1/session", { body: { token: token.trim() } })),
    onSuccess: (session) => client.setQueryData(sessionQuery.queryKey, session),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    signIn.mutate();
  };
  return (
    <Center component="main" mih="100vh" p="md">
      <Paper component="form" onSubmit={submit} withBorder radius="md" p="xl" w="100%" maw={420}>
        <Stack gap="md">
          <Group gap="sm">
            <Logo size={34} />
            <Title order={1} size="h3">
              Sign in to RankScope
            </Title>
          </Group>
          <Text size="sm" c="dimmed">
            Open the link that <Code>rankscope up</Code> printed, or paste its token here. The token is also
            in the file <Code>token</Code> in the data folder.
          </Text>
          {/* Password managers need a user name to store the token. */}
          <input type="text" name="username" autoComplete="username" value="rankscope" readOnly hidden />
          <PasswordInput
            label="Token"
            name="token"
            autoComplete="current-password"
            value={token}
            onChange={(event) => setToken(event.currentTarget.value)}
            required
            withAsterisk={false}
            autoFocus
          />
          {signIn.error ? (
            <Alert color="red" variant="light" role="alert">
              {signIn.error.message} {signIn.error instanceof ApiError ? signIn.error.nextStep : ""}
            </Alert>
          ) : linkError ? (
            <Alert color="orange" variant="light" role="alert">
              {linkError}
            </Alert>
          ) : null}
          <Button type="submit" loading={signIn.isPending} disabled={!token.trim()}>
            Sign in
          </Button>
        </Stack>
      </Paper>
    </Center>
  );
}
