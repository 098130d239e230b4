import { Button } from "@mantine/core";
import { IconTrash } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { useNavigate } from "react-router";
import { Confirm } from "@/components/feedback/Confirm";
import { notify, notifyError } from "@/components/feedback/toast";

interface DeleteTrialsProps {
  noun: "sweep" | "experiment";
  id: string;
  name: string;
  remove: () => Promise<unknown>;
  /** What is deleted with it and what is kept. */
  children: ReactNode;
}

/** Deletes a sweep or an experiment after a confirmation, then shows the list. */
export function DeleteTrials({ noun, id, name, remove, children }: DeleteTrialsProps) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [isAsking, setAsking] = useState(false);
  const removal = useMutation({
    mutationFn: remove,
    onSuccess: async () => {
      await navigate(`/${noun}s`);
      client.removeQueries({ queryKey: [`${noun}s`, id] });
      void client.invalidateQueries({ queryKey: [`${noun}s`] });
      notify(`Deleted ${name}.`);
    },
    onError: (error) => notifyError(`Could not delete the ${noun}`, error),
    onSettled: () => setAsking(false),
  });
  return (
    <>
      <Button
        size="xs"
        variant="subtle"
        color="red"
        leftSection={<IconTrash size={14} />}
        onClick={() => setAsking(true)}
      >
        Delete
      </Button>
      <Confirm
        opened={isAsking}
        title={`Delete ${name}?`}
        action={`Delete ${noun}`}
        isBusy={removal.isPending}
        onClose={() => setAsking(false)}
        onConfirm={() => removal.mutate()}
      >
        {children}
      </Confirm>
    </>
  );
}
