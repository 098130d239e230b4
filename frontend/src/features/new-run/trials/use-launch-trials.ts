import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "react-router";
import { notify } from "@/components/feedback/toast";

/** Launches a sweep or an experiment, then opens its page. */
export function useLaunchTrials<Body>(
  list: "sweeps" | "experiments",
  launch: (body: Body) => Promise<{ id: string; name: string }>,
) {
  const client = useQueryClient();
  const navigate = useNavigate();
  return useMutation({
    mutationFn: launch,
    onSuccess: ({ id, name }) => {
      void client.invalidateQueries({ queryKey: [list] });
      void client.invalidateQueries({ queryKey: ["runs"] });
      notify(`Launched “${name}”.`);
      void navigate(`/${list}/${id}`);
    },
  });
}
